import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The reference job on Kafka Streams, one thread, exactly_once_v2. Arguments: bootstrap topic records run state. */
public class KafkaStreamsJob {
  static long done = 0;
  static long started = 0;

  static class Engine implements Processor<byte[], byte[], byte[], byte[]> {
    final ObjectMapper json = new ObjectMapper();
    final long records;
    KeyValueStore<byte[], byte[]> store;
    ProcessorContext<byte[], byte[]> context;

    Engine(long records) {
      this.records = records;
    }

    public void init(ProcessorContext<byte[], byte[]> context) {
      this.context = context;
      this.store = context.getStateStore("state");
    }

    public void process(Record<byte[], byte[]> record) {
      try {
        if (started == 0) started = System.nanoTime();
        JsonNode order = json.readTree(record.value());
        byte[] raw = store.get(record.key());
        ObjectNode value = raw == null ? json.createObjectNode().put("n", 0).put("spend", 0.0) : (ObjectNode) json.readTree(raw);
        value.put("n", value.get("n").asInt() + 1);
        value.put("spend", value.get("spend").asDouble() + order.get("total").asDouble());
        value.put("last", order.get("placed_at").asText());
        store.put(record.key(), json.writeValueAsBytes(value));
        ObjectNode delay = json.createObjectNode().put("step", "x").put("order", order.get("order_id").asText()).put("due", 123456);
        context.forward(record.withValue(json.writeValueAsBytes(delay)));
        if (++done >= records) {
          double seconds = (System.nanoTime() - started) / 1e9;
          System.out.printf("RESULT kafka-streams %d %.2f %.0f%n", done, seconds, done / seconds);
          System.out.flush();
          Runtime.getRuntime().halt(0);
        }
      } catch (java.io.IOException e) {
        throw new java.io.UncheckedIOException(e);
      }
    }
  }

  public static void main(String[] args) throws Exception {
    Properties settings = new Properties();
    settings.put("application.id", args[3]);
    settings.put("bootstrap.servers", args[0]);
    settings.put("processing.guarantee", "exactly_once_v2");
    settings.put("num.stream.threads", "1");
    settings.put("state.dir", args[4] + "/" + args[3]);
    settings.put("auto.offset.reset", "earliest");
    StreamsBuilder builder = new StreamsBuilder();
    builder.addStateStore(
        Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("state"), Serdes.ByteArray(), Serdes.ByteArray())
            .withLoggingEnabled(Map.of()));
    long records = Long.parseLong(args[2]);
    builder.stream(args[1], Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
        .process(() -> new Engine(records), "state")
        .to("delay-" + args[3], Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));
    new KafkaStreams(builder.build(), settings).start();
    Thread.sleep(600_000);
  }
}
