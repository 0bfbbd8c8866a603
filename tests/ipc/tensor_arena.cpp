// How tensors are laid out in an arena: aligned, once for shared bytes, dense where a view has gaps, in their file where they have one.
#include "cotenant/ipc/tensor_arena.hpp"

#include "support.hpp"

#if defined(__linux__)
#include "cotenant/files/safetensors.hpp"
#include "cotenant/ipc/attached_tensors.hpp"

using namespace ipc_tests;

namespace {
ct::TensorArena arena_of(const std::vector<ct::NamedTensor>& tensors, ct::FileTensors files = ct::FileTensors::pass_on) {
  return ct::detail::ArenaPlan(tensors, files).write({}, "cotenant-test", {});
}
ct::AttachedTensors open(ct::TensorArena& arena) {
  std::vector<ct::Descriptor> parts;
  parts.emplace_back(::dup(arena.memory.descriptor().number()));
  for (const ct::Descriptor& file : arena.files) parts.emplace_back(::dup(file.number()));
  return ct::ArenaOpener().open(std::move(parts), "test");
}
template <class T, class S> std::vector<T> values(const ct::SharedTensor<T, S>& tensor) {
  std::vector<T> result(tensor.size());
  if (!result.empty())
    ct::detail::gather_elements(reinterpret_cast<std::byte*>(result.data()), static_cast<const std::byte*>(tensor.block()->data()), tensor.layout(), sizeof(T));
  return result;
}
}  // namespace

TEST_CASE("every element type and shape arrives, on cache lines") {
  const auto bytes = ct::from<std::uint8_t>({1, 2, 3}, {3});
  const auto half = ct::from<ct::bf16>({ct::bf16(1.5f), ct::bf16(-2.0f)}, {2, 1});
  const auto yes = ct::full<bool>({5}, true);
  const auto scalar = ct::full<std::int64_t>({}, -7);
  const auto none = ct::empty<float>({4, 0});
  auto arena = arena_of({{"bytes", bytes}, {"half", half}, {"yes", yes}, {"scalar", scalar}, {"none", none}, {"floats", ramp({3, 5})}});
  CHECK(arena.files.empty());
  CHECK(ct::detail::is_sealed(arena.memory.descriptor()));
  const ct::AttachedTensors attached = open(arena);
  CHECK(attached.names() == std::vector<std::string_view>{"bytes", "floats", "half", "none", "scalar", "yes"});
  CHECK(values(attached.tensor<std::uint8_t>("bytes")) == std::vector<std::uint8_t>{1, 2, 3});
  CHECK(attached.tensor<ct::bf16>("half").shape() == ct::Shape{2, 1});
  CHECK(attached.tensor<ct::bf16>("half").view()(1, 0) == ct::bf16(-2.0f));
  CHECK(attached.tensor<bool>("yes").view()(4));
  CHECK(attached.tensor<std::int64_t>("scalar").view()() == -7);
  CHECK(attached.tensor<float>("none").size() == 0);
  CHECK(values(attached.tensor<float>("floats")) == values(ramp({3, 5})));
  for (const ct::ArenaTensor& tensor : attached.tensors())
    if (tensor.bytes() != 0) CHECK(tensor.layout.offset * static_cast<std::ptrdiff_t>(ct::size_of(tensor.dtype)) % 64 == 0);
}

TEST_CASE("views come back as views: strides, order and sharing") {
  const auto matrix = ramp({64, 64});
  auto arena = arena_of({{"matrix", matrix},
                         {"again", matrix},
                         {"rows", matrix.slice(0, 8, 16)},
                         {"transposed", matrix.transpose()},
                         {"backwards", matrix.slice(0, 63, -1, -1)},
                         {"repeated", matrix.select(0, 3).broadcast_to({1000, 64})}});
  CHECK(arena.manifest.part_bytes[0] == 64 + 64 * 64 * 4);  // one copy of the matrix, for six names
  const ct::AttachedTensors attached = open(arena);
  CHECK(attached.tensor<float>("again").view().data() == attached.tensor<float>("matrix").view().data());
  CHECK(attached.tensor<float>("rows").view()(0, 5) == 8 * 64 + 5);
  CHECK(attached.tensor<float>("transposed").view()(5, 8) == 8 * 64 + 5);
  CHECK(attached.tensor<float>("backwards").view()(0, 1) == 63 * 64 + 1);
  CHECK(attached.tensor<float>("repeated").view()(999, 2) == 3 * 64 + 2);
}

TEST_CASE("gaps that nobody else needs are left out") {
  const auto matrix = ramp({64, 64});
  auto arena = arena_of({{"column", matrix.slice(1, 10, 11)},
                         {"corner", ramp({100, 100}).slice({0, 0}, {3, 3})},
                         {"every third", ramp({9}).slice(0, 8, -1, -3)}});
  CHECK(arena.manifest.part_bytes[0] == 64 + 256 + 64 + 64);
  const ct::AttachedTensors attached = open(arena);
  CHECK(attached.tensor<float>("column").view()(63, 0) == 63 * 64 + 10);
  CHECK(attached.tensor<float>("column").is_contiguous());
  CHECK(values(attached.tensor<float>("corner")) == std::vector<float>{0, 1, 2, 100, 101, 102, 200, 201, 202});
  CHECK(values(attached.tensor<float>("every third")) == std::vector<float>{8, 5, 2});
}

TEST_CASE("views of different types on the same bytes keep them in common") {
  const ct::BlockRef block = ct::Block::allocate(ct::Heap{}, 256);
  auto* const data = static_cast<unsigned char*>(block->data());
  for (int i = 0; i < 256; ++i) data[i] = static_cast<unsigned char>(i);
  const ct::SharedTensor<std::uint8_t> bytes(block, {{9}, {1}, 3});
  const ct::SharedTensor<std::int32_t> words(block, {{4}, {2}, 2});
  auto arena = arena_of({{"words", words}, {"bytes", bytes}});
  const ct::AttachedTensors attached = open(arena);
  CHECK(values(attached.tensor<std::uint8_t>("bytes")) == values(bytes));
  CHECK(values(attached.tensor<std::int32_t>("words")) == values(words));
  const void* const first_word = attached.tensor<std::int32_t>("words").view().data();
  CHECK(first_word == attached.tensor<std::uint8_t>("bytes").view().data() + 5);
}

TEST_CASE("tensors of a mapped file stay there, unless the file is another one now") {
  const TemporaryFolder folder;
  std::string data(64, '\0');
  for (int i = 0; i < 16; ++i) {
    const auto value = static_cast<float>(i);
    std::memcpy(data.data() + 4 * i, &value, 4);
  }
  std::string header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[0,32]},\"b\":{\"dtype\":\"F32\",\"shape\":[2,4],\"data_offsets\":[32,64]}}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::string content = safetensors_bytes(header, data);
  const auto path = folder.write("model.safetensors", content);
  const ct::SafetensorsFile file = ct::SafetensorsFile::open(path), again = ct::SafetensorsFile::open(path);
  REQUIRE_FALSE(file.copied());
  const std::vector<ct::NamedTensor> tensors{{"a", file.tensor<float>("a")}, {"b", again.tensor<float>("b").transpose()}, {"c", ramp({4})}};
  {
    auto arena = arena_of(tensors);
    CHECK(arena.files.size() == 1);
    CHECK(arena.manifest.part_bytes == std::vector<std::size_t>{128, content.size()});
    const ct::AttachedTensors attached = open(arena);
    CHECK(attached.tensor<float>("a").view()(7) == 7.0f);
    CHECK(attached.tensor<float>("b").view()(3, 1) == 15.0f);
    CHECK(attached.tensor<float>("c").view()(3) == 3.0f);
  }
  {
    auto arena = arena_of(tensors, ct::FileTensors::copy);
    CHECK(arena.files.empty());
    CHECK(open(arena).tensor<float>("b").view()(3, 1) == 15.0f);
  }
  // Another file of the same size under the name: what is mapped is copied.
  std::filesystem::remove(path);
  folder.write("other", std::string(content.size(), 'x'));
  std::filesystem::rename(folder / "other", path);
  auto arena = arena_of(tensors);
  CHECK(arena.files.empty());
  CHECK(open(arena).tensor<float>("a").view()(7) == 7.0f);
}

TEST_CASE("what cannot be exported says why") {
  const auto tensor = ramp({4});
  CHECK_THROWS_WITH_AS(arena_of({{"a", tensor}, {"b", tensor}, {"a", tensor}}), doctest::Contains("'a'"), ct::InvalidArgument);
  CHECK_THROWS_AS(arena_of({{"", tensor}}), ct::InvalidArgument);
  CHECK_THROWS_AS(arena_of({{std::string(5000, 'x'), tensor}}), ct::InvalidArgument);
  CHECK_THROWS_WITH_AS(arena_of({{"\xff", tensor}}), doctest::Contains("UTF-8"), ct::InvalidArgument);
  CHECK_THROWS_WITH_AS(ct::NamedTensor("empty", ct::SharedTensor<float>()), doctest::Contains("'empty'"), ct::InvalidArgument);
  CHECK(arena_of({}).manifest.tensors.empty());
}

#endif
