"""Version 2 of what others are told of an order, beside version 1: who reads version 1 is not disturbed."""
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    op.execute("""
        CREATE FUNCTION order_placed_v2(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
        BEGIN ATOMIC
            SELECT (domev.make_integration_event('shop.order-placed.v2', jsonb_build_object(
                'order', (e).aggregate_id, 'total', (e).payload->'total',
                'customer', jsonb_build_object('id', c.id, 'name', c.name, 'city', c.city)))).*
            FROM customers AS c WHERE c.id = ((e).payload->>'customer')::int;
        END;
    """)
    op.execute("SELECT domev.create_mapping('order-placed-v2', 'order.placed', 'public.order_placed_v2', topic => 'shop.orders')")


def downgrade():
    op.execute("SELECT domev.drop_mapping('order-placed-v2')")
    op.execute("DROP FUNCTION order_placed_v2(domev.domain_event)")
