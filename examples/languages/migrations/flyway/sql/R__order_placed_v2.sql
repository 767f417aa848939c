-- The customer became an object.  Both versions are published until nobody reads the first; then a V file drops its mapping and its function.
CREATE OR REPLACE FUNCTION order_placed_v2(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
BEGIN ATOMIC
    SELECT (domev.make_integration_event('shop.order-placed.v2',
        jsonb_build_object('order', (e).aggregate_id, 'total', (e).payload->'total',
            'customer', jsonb_build_object('name', c.name, 'city', c.city)))).*
    FROM customers AS c WHERE c.id = ((e).payload->>'customer')::int;
END;
SELECT domev.create_mapping('order-placed-v2', 'order.placed', 'public.order_placed_v2', topic => 'shop.orders', if_not_exists => true);
