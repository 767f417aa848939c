"""Orders, and what others are told of them."""
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.execute("""
        CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, city text NOT NULL);
        CREATE TABLE orders (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            customer int NOT NULL REFERENCES customers,
            total numeric(10,2) NOT NULL,
            status text NOT NULL DEFAULT 'placed'
        );
        GRANT SELECT ON customers TO shop_app;
        GRANT SELECT, INSERT, UPDATE (status) ON orders TO shop_app;
    """)
    op.execute("""
        SELECT domev.create_topic('orders', scope => 'internal');
        SELECT domev.create_topic('shop.orders');
        SELECT domev.create_event_type('order.placed', 'order', topic => 'orders');
        GRANT INSERT ON domev_event."order.placed" TO shop_app;
    """)
    op.execute("""
        CREATE FUNCTION order_placed_v1(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
        BEGIN ATOMIC
            SELECT (domev.make_integration_event('shop.order-placed.v1', jsonb_build_object(
                'order', (e).aggregate_id, 'total', (e).payload->'total', 'customer', c.name, 'city', c.city))).*
            FROM customers AS c WHERE c.id = ((e).payload->>'customer')::int;
        END;
    """)
    op.execute("SELECT domev.create_mapping('order-placed-v1', 'order.placed', 'public.order_placed_v1', topic => 'shop.orders')")


def downgrade():
    # The reverse order: what is still used cannot be dropped.
    op.execute("SELECT domev.drop_mapping('order-placed-v1')")
    op.execute("DROP FUNCTION order_placed_v1(domev.domain_event)")
    op.execute("SELECT domev.drop_event_type('order.placed')")
    op.execute("SELECT domev.drop_topic('shop.orders')")
    op.execute("SELECT domev.drop_topic('orders')")
    op.execute("DROP TABLE orders, customers")
