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

TEST_CASE("quantised tensors are exported with their scale and zero point") {
  const TemporaryFolder folder;
  ct::TensorSharingManager producer, consumer;
  ct::Quantized<std::uint8_t, ct::Heap> weights{ct::full<std::uint8_t>({4, 8}, 130), ct::full<float>({4, 1}, 0.5f), ct::full<std::uint8_t>({4, 1}, 128)};
  weights.scale.mutable_view()(3, 0) = 0.25f;
  producer.register_tensor("w", weights);
  producer.register_tensor("packed", ct::Quantized<ct::i4x2, ct::Heap>{ct::full<ct::i4x2>({4, 4}, ct::i4x2(1, 2)), ct::full<float>({}, 2.0f), {}});
  const ct::TensorExporter exporter = ct::export_tensors(producer, folder / "socket");
  const ct::AttachedTensors attached = ct::attach(exporter.path());
  CHECK(ct::register_tensors(consumer, attached) == 5);
  const auto values = consumer.get<std::uint8_t, ct::SharedMemory>("w", "m");
  const auto scale = consumer.get<float, ct::SharedMemory>("w.scale", "m");
  const auto zero_point = consumer.get<std::uint8_t, ct::SharedMemory>("w.zero_point", "m");
  CHECK(values->view()(3, 7) == 130);
  CHECK(scale->shape() == ct::Shape{4, 1});
  CHECK(scale->view()(0, 0) == 0.5f);
  CHECK(scale->view()(3, 0) == 0.25f);
  CHECK(zero_point->view()(2, 0) == 128);
  CHECK(attached.tensor<ct::i4x2>("packed").shape() == ct::Shape{4, 4});
  CHECK(attached.tensor<float>("packed.scale").view()(0, 0) == 2.0f);
}

#endif
