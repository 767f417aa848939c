"""What do the topics of the librdkafka part hold?  Arguments: where Kafka is, and one of
make (the topics, with three partitions each), read (prints all, an event a line, in the order of each partition).
"""

import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

TOPICS = "shop.orders", "shop.views"
PARTITIONS = 3
PATIENCE = 30  # seconds


def make(bootstrap):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for result in admin.create_topics([NewTopic(topic, PARTITIONS) for topic in TOPICS]).values():
        result.result(PATIENCE)


def read(bootstrap):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False})
    for topic in TOPICS:
        for number in range(PARTITIONS):
            partition = TopicPartition(topic, number, OFFSET_BEGINNING)
            _, end = consumer.get_watermark_offsets(partition, PATIENCE)
            consumer.assign([partition])
            at = 0
            while at < end:
                message = consumer.poll(PATIENCE)
                if message is None or message.error():
                    sys.exit(f"{topic} {number}: {message and message.error()}")
                print(message.value().decode())
                at = message.offset() + 1


{"make": make, "read": read}[sys.argv[2]](sys.argv[1])
