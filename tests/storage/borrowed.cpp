// Borrowed: someone else's memory, given back once.
#include "cotenant/storage/borrowed.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <span>
#include <vector>

#include "cotenant/share/tensor.hpp"

namespace ct = cotenant;

TEST_CASE("the deleter runs once, with the last handle") {
  static_assert(ct::Storage<ct::Borrowed> && !ct::AllocatingStorage<ct::Borrowed>);
  std::vector<float> memory(12, 1.0f);
  int deleted = 0;
  {
    auto tensor = ct::borrow(std::span<float>(memory), {3, 4}, [&] { ++deleted; });
    CHECK(tensor.view().data() == memory.data());
    CHECK(tensor.bytes() == 48);
    CHECK(tensor.block()->bytes() == 48);
    auto row = tensor.select(0, 1);
    tensor = {};
    CHECK(deleted == 0);
    row.mutable_view()(0) = 5.0f;
    CHECK(memory[4] == 5.0f);
  }
  CHECK(deleted == 1);
}

TEST_CASE("without a deleter the memory is left alone") {
  std::vector<std::int32_t> memory(4, 7);
  { const auto tensor = ct::borrow(std::span<std::int32_t>(memory), {4}); }
  CHECK(memory[3] == 7);
}

TEST_CASE("what does not fit is refused before anything is taken") {
  std::vector<float> memory(12);
  int deleted = 0;
  CHECK_THROWS_AS(ct::borrow(std::span<float>(memory), {13}, [&] { ++deleted; }), ct::ShapeError);
  auto* bytes = reinterpret_cast<char*>(memory.data()) + 1;
  CHECK_THROWS_WITH_AS(ct::borrow(std::span<float>(reinterpret_cast<float*>(bytes), 2), {2}), doctest::Contains("aligned to 4"), ct::InvalidArgument);
  CHECK(deleted == 0);
  CHECK_NOTHROW(ct::borrow(std::span<float>(memory), ct::Layout{{12}, {-1}, 11}));
}
