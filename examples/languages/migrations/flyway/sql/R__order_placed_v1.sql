-- Runs again whenever this file changes: for what leaves the contract as it is.  A new contract is a new mapping, beside this one.
CREATE OR REPLACE FUNCTION order_placed_v1(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
BEGIN ATOMIC
    SELECT (domev.make_integration_event('shop.order-placed.v1',
        jsonb_build_object('order', (e).aggregate_id, 'total', (e).payload->'total', 'customer', c.name, 'city', c.city))).*
    FROM customers AS c WHERE c.id = ((e).payload->>'customer')::int;
END;
SELECT domev.create_mapping('order-placed-v1', 'order.placed', 'public.order_placed_v1', topic => 'shop.orders', if_not_exists => true);
