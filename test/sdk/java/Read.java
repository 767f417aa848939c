// What does the Java SDK of CloudEvents read in our events?  Arguments: FORMAT FILE; FORMAT is json (FILE has one event a line) or
// protobuf (one event a line, in hexadecimal).  Prints a line for each event, as ../README.md describes.
// The builders of the SDK validate: what is not valid cannot be read.

import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.cloudevents.CloudEvent;
import io.cloudevents.core.format.EventFormat;
import io.cloudevents.core.provider.EventFormatProvider;
import io.cloudevents.jackson.JsonFormat;
import io.cloudevents.protobuf.ProtobufFormat;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.List;

class Read {
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSSSSSSSS");

    public static void main(String[] args) throws IOException {
        // Data may be nested deeper than Jackson likes.
        StreamReadConstraints.overrideDefaultStreamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(10_000).build());
        boolean json = args[0].equals("json");
        EventFormat format = EventFormatProvider.getInstance()
                .resolveFormat(json ? JsonFormat.CONTENT_TYPE : ProtobufFormat.PROTO_CONTENT_TYPE);
        try (BufferedReader lines = Files.newBufferedReader(Path.of(args[1]), StandardCharsets.UTF_8);
                PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8)) {
            String line;
            while ((line = lines.readLine()) != null) {
                out.println(read(format, json ? line.getBytes(StandardCharsets.UTF_8) : fromHex(line)));
            }
        }
    }

    private static String read(EventFormat format, byte[] bytes) {
        try {
            return describe(format.deserialize(bytes));
        } catch (RuntimeException | IOException e) {
            return "ERROR " + e.toString().replaceAll("\\s+", " ");
        }
    }

    private static String describe(CloudEvent event) throws IOException {
        List<String> attributes = new ArrayList<>();
        for (String name : event.getAttributeNames()) {
            Object value = event.getAttribute(name);
            if (value != null) {
                attributes.add(name + "=" + attribute(value));
            }
        }
        for (String name : event.getExtensionNames()) {
            attributes.add(name + "=" + extension(event.getExtension(name)));
        }
        Collections.sort(attributes);
        return String.join(" ", attributes) + "\t" + data(event);
    }

    private static String attribute(Object value) {
        if (value instanceof OffsetDateTime) {
            return escape(TIME.format(((OffsetDateTime) value).withOffsetSameInstant(ZoneOffset.UTC)));
        }
        return escape(value.toString());
    }

    private static String extension(Object value) {
        if (value instanceof String) {
            return escape((String) value);
        }
        if (value instanceof Boolean) {
            return "bool:" + value;
        }
        if (value instanceof Integer) {
            return "int32:" + value;
        }
        return escape(value.getClass().getName() + ":" + value);
    }

    // Of JSON, what it means: the SDK keeps it as a tree in one format, as bytes in the other.
    private static String data(CloudEvent event) throws IOException {
        if (event.getData() == null) {
            return "none";
        }
        byte[] bytes = event.getData().toBytes();
        String type = event.getDataContentType() == null ? "" : event.getDataContentType().replaceAll("[; ].*", "").toLowerCase();
        if (type.endsWith("/json") || type.endsWith("+json")) {
            return "json:" + new ObjectMapper().readTree(bytes);
        }
        return "data:" + Base64.getEncoder().encodeToString(bytes);
    }

    // Letters, digits and some others as they are, the rest percent-encoded: the same in every language.
    private static String escape(String s) {
        StringBuilder out = new StringBuilder();
        for (byte b : s.getBytes(StandardCharsets.UTF_8)) {
            if (b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || "-._/+".indexOf(b) >= 0) {
                out.append((char) b);
            } else {
                out.append(String.format("%%%02X", b));
            }
        }
        return out.toString();
    }

    private static byte[] fromHex(String hex) {
        byte[] bytes = new byte[hex.length() / 2];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
        }
        return bytes;
    }
}
