import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import software.amazon.awssdk.core.SdkField;
import software.amazon.awssdk.core.SdkPojo;
import software.amazon.awssdk.core.protocol.MarshallLocation;
import software.amazon.awssdk.core.protocol.MarshallingType;
import software.amazon.awssdk.core.traits.LocationTrait;
import software.amazon.awssdk.utils.builder.Buildable;

/** A structure of the service's model as the SDK's marshallers see it: a list of members, each with its type. */
abstract class Structure<S extends Structure<S>> implements SdkPojo, Buildable {
    private final List<SdkField<?>> fields = new ArrayList<>();
    private final Map<String, Object> values = new HashMap<>();

    protected void text(String... names) {
        for (String name : names) {
            fields.add(field(MarshallingType.STRING, name, null));
        }
    }

    protected void times(String... names) {
        for (String name : names) {
            fields.add(field(MarshallingType.INSTANT, name, null));
        }
    }

    protected void structure(String name, Supplier<SdkPojo> constructor) {
        fields.add(field(MarshallingType.SDK_POJO, name, constructor));
    }

    private static <T> SdkField<T> field(MarshallingType<T> type, String name, Supplier<SdkPojo> constructor) {
        return SdkField.<T>builder(type)
            .memberName(name)
            .getter(object -> Structure.<T>read(object, name))
            .setter((object, value) -> ((Structure<?>) object).values.put(name, value))
            .constructor(constructor)
            .traits(LocationTrait.builder().location(MarshallLocation.PAYLOAD).locationName(name).build())
            .build();
    }

    @SuppressWarnings("unchecked")
    private static <T> T read(Object object, String name) {
        return (T) ((Structure<?>) object).values.get(name);
    }

    @SuppressWarnings("unchecked")
    protected S with(String name, Object value) {
        values.put(name, value);
        return (S) this;
    }

    protected String textOf(String name) {
        return (String) values.get(name);
    }

    protected Instant timeOf(String name) {
        return (Instant) values.get(name);
    }

    protected Object structureOf(String name) {
        return values.get(name);
    }

    @Override
    public List<SdkField<?>> sdkFields() {
        return Collections.unmodifiableList(fields);
    }

    /** A structure is its own builder. */
    @Override
    @SuppressWarnings("unchecked")
    public S build() {
        return (S) this;
    }
}
