// What is in all topics of a Kafka broker, and what does the official SDK of CloudEvents make of it?  Prints a line of JSON for each record.
// Arguments: the broker's address; "end" to end when there are no more, else it goes on until it is killed.
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.cloudevents.core.format.EventFormat;
import io.cloudevents.core.provider.EventFormatProvider;
import io.cloudevents.jackson.JsonFormat;
import io.cloudevents.kafka.KafkaMessageFactory;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public final class Read {
	private static final ObjectMapper JSON = new ObjectMapper();
	private static final EventFormat EVENTS = EventFormatProvider.getInstance().resolveFormat(JsonFormat.CONTENT_TYPE);

	public static void main(String[] arguments) throws Exception {
		Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0], "auto.offset.reset", "earliest", "enable.auto.commit", false,
			"default.api.timeout.ms", 3000, "fetch.max.wait.ms", 100, "metadata.max.age.ms", 1000, "reconnect.backoff.max.ms", 200);

		try (var consumer = new KafkaConsumer<byte[], byte[]>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
			while (true) {
				try {
					if (!take(consumer)) Thread.sleep(100); // there are no topics yet
					else for (var record : consumer.poll(Duration.ofMillis(300))) {
						System.out.println(JSON.writeValueAsString(describe(record)));
					}
					if (arguments.length > 1 && isAtEnd(consumer)) return;
				} catch (RetriableException e) {
					System.err.println(e); // the broker is killed, and comes back
				}
			}
		}
	}

	// All partitions that there are by now, but of internal topics and heartbeats; those that were read go on where they are.
	private static boolean take(KafkaConsumer<byte[], byte[]> consumer) {
		Set<TopicPartition> partitions = new HashSet<>();

		consumer.listTopics().forEach((topic, ofTopic) -> {
			if (!topic.startsWith("__")) ofTopic.forEach(one -> partitions.add(new TopicPartition(topic, one.partition())));
		});
		if (!partitions.equals(consumer.assignment())) consumer.assign(partitions);
		return !partitions.isEmpty();
	}

	private static boolean isAtEnd(KafkaConsumer<byte[], byte[]> consumer) {
		return consumer.endOffsets(consumer.assignment()).entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
	}

	private static ObjectNode describe(ConsumerRecord<byte[], byte[]> record) {
		ObjectNode line = JSON.createObjectNode();

		line.put("topic", record.topic()).put("partition", record.partition()).put("offset", record.offset());
		line.put("key", text(record.key())).put("value", text(record.value()));
		for (Header header : record.headers()) line.withObject("/headers").put(header.key(), text(header.value()));
		try {
			line.set("event", JSON.readTree(EVENTS.serialize(KafkaMessageFactory.createReader(record).toEvent())));
		} catch (Exception e) {
			line.put("error", e.toString());
		}
		return line;
	}

	private static String text(byte[] bytes) {
		return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
	}
}
