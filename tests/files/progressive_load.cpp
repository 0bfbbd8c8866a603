#include "cotenant/files/progressive_load.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <thread>
#include <vector>

#include "cotenant/files/store.hpp"
#include "temporary_folder.hpp"

using namespace cotenant;

namespace {
constexpr std::size_t tensor_columns = 1000, tensor_rows = 2500, chunk = ChunkedChecksum::chunk_bytes;  // 10 MB: two chunks and a part
void save(TensorStore& store) {
  auto tensor = empty<float>({tensor_rows, tensor_columns});
  const auto view = tensor.mutable_view();
  for (std::size_t i = 0; i < tensor_rows; ++i)
    for (std::size_t k = 0; k < tensor_columns; ++k) view(i, k) = static_cast<float>(i);
  store.save("large", tensor);
}
bool right(const SharedTensor<float, Mapped>& tensor) {
  for (std::size_t i = 0; i < tensor.shape()[0]; ++i)
    for (float value : tensor.select(0, static_cast<std::ptrdiff_t>(i)).view().span())
      if (value != static_cast<float>(i)) return false;
  return true;
}
}  // namespace

TEST_CASE("progressive_load: the first rows are usable before the last are read") {
  const TemporaryFolder folder;
  TensorStore store(folder.path());
  save(store);
  auto load = store.load_progressively<float>("large");
  CHECK(load.shape() == Shape{tensor_rows, tensor_columns});
  CHECK(load.total_bytes() == 4 * tensor_rows * tensor_columns);
  CHECK(load.done_bytes() == 0);
  CHECK(load.rows().shape() == Shape{0, tensor_columns});
  CHECK(load.advance());
  CHECK(load.ready_rows() == chunk / 4000);
  CHECK(right(load.rows()));
  std::vector<std::size_t> seen;
  const auto tensor = load.run([&](const ProgressiveLoad<float>& so_far) {
    CHECK(right(so_far.rows()));
    seen.push_back(so_far.done_bytes());
    return true;
  });
  REQUIRE(tensor);
  CHECK(seen == std::vector<std::size_t>{2 * chunk, 4 * tensor_rows * tensor_columns});
  CHECK(tensor->shape() == Shape{tensor_rows, tensor_columns});
  CHECK(right(*tensor));
  CHECK_FALSE(load.advance());
  CHECK(tensor->block() == load.rows().block());  // no copy
}

TEST_CASE("progressive_load: stopped, taken up again, dropped") {
  const TemporaryFolder folder;
  TensorStore store(folder.path());
  save(store);
  SharedTensor<float, Mapped> early;
  {
    auto load = store.load_progressively<float>("large");
    int calls = 0;
    CHECK_FALSE(load.run([&](const auto&) { return ++calls < 2; }).has_value());
    CHECK(calls == 2);
    CHECK(load.done_bytes() == 2 * chunk);
    early = load.rows();
    CHECK(load.run([](const auto&) { return false; }) == std::nullopt);
    CHECK(load.run([](const auto&) { return false; }).has_value());
  }
  CHECK(right(early));
}

TEST_CASE("progressive_load: one thread reads on while another uses what is there") {
  const TemporaryFolder folder;
  TensorStore store(folder.path());
  save(store);
  auto load = store.load_progressively<float>("large");
  std::thread reader([&] { load.finish(); });
  while (load.done_bytes() != load.total_bytes()) CHECK(right(load.rows()));
  reader.join();
  CHECK(load.ready_rows() == tensor_rows);
}

TEST_CASE("progressive_load: damage stops it, and the rows before stay good") {
  const TemporaryFolder folder;
  TensorStore store(folder.path());
  save(store);
  const StoredTensor entry = store.info("large");
  {
    std::fstream file(folder / entry.file, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(entry.position + chunk + 100));
    file << "damage";
  }
  auto load = store.load_progressively<float>("large");
  CHECK(load.advance());
  CHECK_THROWS_AS(load.advance(), BadFile);
  CHECK_THROWS_AS(load.finish(), BadFile);
  CHECK(load.ready_rows() == chunk / 4000);
  CHECK(right(load.rows()));
}

TEST_CASE("progressive_load: no elements, no axes") {
  const TemporaryFolder folder;
  TensorStore store(folder.path());
  store.put("none", empty<float>({3, 0}));
  store.put("scalar", from({2.0f}, {}));
  store.synchronize();
  auto none = store.load_progressively<float>("none");
  CHECK(none.ready_rows() == 3);
  CHECK_FALSE(none.advance());
  CHECK(none.run([](const auto&) { return false; })->shape() == Shape{3, 0});
  auto scalar = store.load_progressively<float>("scalar");
  CHECK(scalar.ready_rows() == 0);
  CHECK(scalar.finish().view()() == 2.0f);
  CHECK_THROWS_AS(scalar.rows(), ShapeError);
}
