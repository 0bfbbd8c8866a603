// Managers at both ends: what one has registered, the other registers, on the same memory.
#include "cotenant/ipc/managed.hpp"

#include "support.hpp"

#if defined(__linux__)
#include "cotenant/files/safetensors.hpp"

using namespace ipc_tests;

TEST_CASE("what one manager has registered another one registers, counted once") {
  const TemporaryFolder folder;
  ct::TensorSharingManager producer, consumer;
  producer.register_tensor("heap/weights", ramp({16, 16}), {.producer = "trainer"});
  static_cast<void>(producer.create_view<float>("heap/weights", "heap/row", {3, 0}, {1, 16}, "trainer"));
  producer.register_tensor("heap/ids", ct::full<std::int32_t>({4}, 7));
  std::string header = "{\"t\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const auto file = ct::SafetensorsFile::open(folder.write("model.safetensors", safetensors_bytes(header, std::string("\0\x3c\0\x40", 4))));
  producer.register_tensor("file/t", file.tensor<ct::f16>("t"));
  float own[4] = {1, 2, 3, 4};
  producer.register_tensor("borrowed", ct::borrow<float>(own, ct::Shape{4}));

  CHECK(ct::registered_tensors(producer, "heap/").size() == 3);
  const ct::TensorExporter exporter = ct::export_tensors(producer, folder / "socket");
  CHECK(producer.stats().tensors.at("heap/ids").leases == 0);
  const ct::AttachedTensors attached = ct::attach(exporter.path());
  CHECK(ct::register_tensors(consumer, attached, "trainer/") == 5);
  CHECK((consumer.get<float, ct::SharedMemory>("trainer/heap/weights", "m")->view()(3, 5)) == 53.0f);
  CHECK((consumer.get<float, ct::SharedMemory>("trainer/heap/row", "m")->view()(0, 5)) == 53.0f);
  CHECK((consumer.get<std::int32_t, ct::SharedMemory>("trainer/heap/ids", "m")->view()(3)) == 7);
  CHECK(static_cast<float>(consumer.get<ct::f16, ct::SharedMemory>("trainer/file/t", "m")->view()(1)) == 2.0f);
  CHECK((consumer.get<float, ct::SharedMemory>("trainer/borrowed", "m")->view()(3)) == 4.0f);
  // One arena and one file, however many tensors.
  const auto part_bytes = attached.tensor<float>("borrowed").block()->bytes() + attached.tensor<ct::f16>("file/t").block()->bytes();
  CHECK(consumer.stats().true_bytes == part_bytes);
  // They can be exported on.
  const ct::TensorExporter relay = ct::export_tensors(consumer, folder / "relay");
  CHECK(ct::attach(relay.path()).tensor<float>("trainer/heap/weights").view()(15, 15) == 255.0f);
}

namespace {
void register_quantized(ct::TensorSharingManager& manager) {
  ct::Quantized<std::uint8_t, ct::Heap> weights{ct::full<std::uint8_t>({4, 8}, 130), ct::full<float>({4, 1}, 0.5f), ct::full<std::uint8_t>({4, 1}, 128)};
  weights.scale.mutable_view()(3, 0) = 0.25f;
  manager.register_tensor("w", weights);
  manager.register_tensor("packed", ct::Quantized<ct::i4x2, ct::Heap>{ct::full<ct::i4x2>({4, 4}, ct::i4x2(1, 2)), ct::full<float>({}, 2.0f), {}});
  manager.register_tensor("bare", ct::full<std::int8_t>({3}, 5));
}
}  // namespace

TEST_CASE("quantised tensors come out of another process as they were registered there") {
  const TemporaryFolder folder;
  const auto path = folder / "socket";
  Child child([&](const Child::Talk& talk) {
    const ct::AttachedTensors attached = ct::attach(path, {.wait_for_producer = true});
    const auto w = attached.quantized<std::uint8_t>("w");
    const bool by_hand = w.values.view()(3, 7) == 130 && w.scale.shape() == ct::Shape{4, 1} && w.scale.view()(3, 0) == 0.25f &&
        w.zero_point.view()(2, 0) == 128 && attached.quantized<ct::i4x2>("packed").scale.view()(0, 0) == 2.0f;
    ct::TensorSharingManager manager;
    const bool all = ct::register_tensors(manager, attached, "far/") == 3 && !manager.contains("far/w.scale");
    const auto lease = manager.get<std::uint8_t, ct::SharedMemory>("far/w", "m");
    const auto again = lease.quantized();
    // On the producer's memory, counted once; and the numbers that they stand for are made from them.
    const bool one = again.scale.block() == lease->block() && again.zero_point.view()(0, 0) == 128 && manager.stats().true_bytes == lease->block()->bytes();
    const auto numbers = manager.get<float>("far/w", "m");
    const bool right = numbers->view()(0, 0) == 1.0f && numbers->view()(3, 7) == 0.5f;
    talk.say('a');
    talk.hear();
    return by_hand && all && one && right ? 0 : 1;
  });
  ct::TensorSharingManager producer;
  register_quantized(producer);
  const ct::TensorExporter exporter = ct::export_tensors(producer, path);
  CHECK(child.talk().hear() == 'a');
  child.talk().say('q');
  CHECK(child.wait() == 0);
}

TEST_CASE("what is no quantised tensor is said to be none, and parts of several pieces stay apart") {
  const TemporaryFolder folder;
  ct::TensorSharingManager producer, consumer;
  register_quantized(producer);
  std::vector<ct::NamedTensor> tensors = ct::registered_tensors(producer);
  tensors.emplace_back("wrong", ct::full<std::int8_t>({6}, 1));
  tensors.emplace_back("wrong.scale", ct::full<float>({4}, 1.0f));
  std::string header = "{\"t\":{\"dtype\":\"I8\",\"shape\":[8],\"data_offsets\":[0,8]}}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const auto file = ct::SafetensorsFile::open(folder.write("model.safetensors", safetensors_bytes(header, std::string(8, '\3'))));
  tensors.emplace_back("apart", file.tensor<std::int8_t>("t"));
  tensors.emplace_back("apart.scale", ct::full<float>({2}, 4.0f));
  const ct::TensorExporter exporter = ct::export_tensors(tensors, folder / "socket");
  const ct::AttachedTensors attached = ct::attach(exporter.path());
  CHECK(attached.is_quantized("w"));
  CHECK_FALSE(attached.is_quantized("bare"));
  CHECK_FALSE(attached.is_quantized("w.scale"));
  CHECK_FALSE(attached.is_quantized("nothing"));
  CHECK_THROWS_AS(static_cast<void>(attached.quantized<std::int8_t>("w")), ct::TypeError);
  CHECK_THROWS_AS(static_cast<void>(attached.quantized<std::int8_t>("bare")), ct::NotFound);
  CHECK_THROWS_AS(static_cast<void>(attached.quantized<std::int8_t>("wrong")), ct::ShapeError);
  CHECK(attached.quantized<std::int8_t>("apart").scale.view()(1) == 4.0f);
  CHECK_THROWS_AS(consumer.register_tensor("apart", attached.quantized<std::int8_t>("apart")), ct::InvalidArgument);
  CHECK_THROWS_AS(static_cast<void>(ct::register_tensors(consumer, attached)), ct::ShapeError);
}

#endif
