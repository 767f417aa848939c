"""How does a service with SQLAlchemy place an order with its event?  The event is an entity on its type's view, or a call of emit."""
import json
import os
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Numeric, Text, create_engine, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    customer: Mapped[int]
    total: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    status: Mapped[str] = mapped_column(Text, server_default="placed")


class OrderPlaced(Base):
    """To add one is to emit it."""
    __tablename__ = "order.placed"
    __table_args__ = {"schema": "domev_event"}
    event_id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    aggregate_id: Mapped[str] = mapped_column(Text)
    aggregate_version: Mapped[int | None] = mapped_column(BigInteger)
    payload: Mapped[dict] = mapped_column(JSONB)


def transaction(engine, context, work):
    """Runs work(session) in one transaction; it may run several times.  The context becomes headers of each of its events."""
    for attempt in range(1, 6):
        try:
            with Session(engine) as session, session.begin():
                session.execute(select(func.set_config("domev.context", json.dumps(context), True)))
                return work(session)
        except DBAPIError as error:
            if attempt == 5 or getattr(error.orig, "sqlstate", None) not in ("40001", "40P01"):
                raise


def place_order(session, customer, total):
    order = Order(customer=customer, total=total)
    session.add(order)
    session.flush()  # now, as the event needs the id, and its mappings look at the row
    session.add(OrderPlaced(aggregate_id=str(order.id), aggregate_version=1,
                            payload=func.jsonb_build_object("customer", customer, "total", total)))
    session.flush()
    return order.id


def cancel_order(session, command, order, reason):
    """May be asked for again with the same id: the UPDATE changes nothing then, nor does emit."""
    session.get_one(Order, order).status = "cancelled"
    session.flush()
    return session.scalar(select(func.domev.emit("order.cancelled", order, literal({"reason": reason}, JSONB), None, None, command)))


def main():
    ann = {"user": "ann", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    engine = create_engine(os.environ["SHOP_URL"].replace("postgresql:", "postgresql+psycopg:"))
    order = transaction(engine, ann, lambda s: place_order(s, 7, Decimal("63.10")))
    print("placed", order)

    command = UUID("0199a3c4-7d11-7abc-8def-000000000042")  # the client's, made before it first asked
    for _ in range(2):
        print("cancelled by", transaction(engine, ann, lambda s: cancel_order(s, command, order, "too late")))

    def declined(s):
        place_order(s, 8, Decimal("12.50"))
        raise ValueError("payment was declined")
    try:
        transaction(engine, ann, declined)
    except ValueError as error:
        print("not placed:", error)


if __name__ == "__main__":
    main()
