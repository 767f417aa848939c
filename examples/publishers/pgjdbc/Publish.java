// How does a program with pgjdbc publish the events of domev?  Sends each event to the broker and acknowledges what the broker has.
// Any error ends it; whoever runs it starts it again, and it goes on behind the last acknowledged transaction.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.Socket;
import java.net.URI;
import java.nio.ByteBuffer;
import java.sql.DriverManager;
import java.util.Properties;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.postgresql.PGConnection;
import org.postgresql.replication.LogSequenceNumber;
import org.postgresql.replication.PGReplicationStream;

public class Publish {
    static final ExecutorService background = Executors.newSingleThreadExecutor(task -> {
        Thread thread = new Thread(task);
        thread.setDaemon(true); // it must not keep a program alive whose main thread has failed
        return thread;
    });

    static PGConnection connection; // held for the stream's sake: the driver closes a connection that the garbage collector finds unused
    static PGReplicationStream stream;
    static Socket broker;
    static BufferedReader answers;

    public static void main(String[] arguments) throws Exception {
        String[] address = System.getenv("DOMEV_BROKER").split(":");
        broker = new Socket(address[0], Integer.parseInt(address[1]));
        answers = new BufferedReader(new InputStreamReader(broker.getInputStream()));
        connection = connect(URI.create(System.getenv("DOMEV_CONNECTION")));
        stream = connection.getReplicationAPI().replicationStream().logical()
            .withSlotName(System.getenv("DOMEV_SLOT"))
            .withStatusInterval(1, TimeUnit.SECONDS)
            .start();
        while (true) {
            ByteBuffer event = stream.readPending();
            if (event != null) {
                publish(event);
            } else {
                Thread.sleep(10);
            }
            // The position of that event; or, when all that came is published, how far the server's last keepalive says it has read.
            advance(stream.getLastReceiveLSN());
        }
    }

    static void advance(LogSequenceNumber position) {
        // The events before the last one of a transaction have positions of their own, which may lie behind us.
        if (position.compareTo(stream.getLastFlushedLSN()) > 0) {
            stream.setAppliedLSN(position);
            stream.setFlushedLSN(position); // goes out with the next status, at the latest after the interval
        }
    }

    static PGConnection connect(URI uri) throws Exception {
        Properties properties = new Properties();
        properties.put("user", uri.getUserInfo());
        properties.put("replication", "database");
        properties.put("preferQueryMode", "simple");     // a replication connection knows no other
        properties.put("assumeMinServerVersion", "10");  // it has to be told, or the driver asks in a way that is refused
        return DriverManager.getConnection("jdbc:postgresql://" + uri.getHost() + ":" + uri.getPort() + uri.getPath(), properties)
            .unwrap(PGConnection.class);
    }

    // Returns when the broker has the event.
    static void publish(ByteBuffer event) throws Exception {
        byte[] line = new byte[event.remaining() + 1];
        event.get(line, 0, event.remaining());
        line[line.length - 1] = '\n';
        String answer = "";
        while (!answer.equals("ok")) {
            broker.getOutputStream().write(line);
            answer = await(background.submit(answers::readLine));
            if (answer.equals("no")) Thread.sleep(100);
        }
    }

    // The driver sends a status only while it reads.  Here it does not, and the server would take us for dead.
    static String await(Future<String> answer) throws Exception {
        while (true) {
            try {
                return answer.get(1, TimeUnit.SECONDS);
            } catch (TimeoutException stillWaiting) {
                stream.forceUpdateStatus();
            }
        }
    }
}
