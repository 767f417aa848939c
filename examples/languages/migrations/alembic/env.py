"""Where do Alembic's migrations run?  In the database that SHOP_URL names; each in a transaction of its own."""
import os

from alembic import context
from sqlalchemy import create_engine


def ours(it, name, type_, reflected, other):  # pylint: disable=unused-argument
    """For autogenerate: the schemas of domev are no business of Alembic's, nor are entities on views of events tables to be made."""
    return type_ != "table" or not (it.schema or "").startswith("domev")


engine = create_engine(os.environ["SHOP_URL"].replace("postgresql:", "postgresql+psycopg:"))
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True, include_object=ours)
    with context.begin_transaction():
        context.run_migrations()
