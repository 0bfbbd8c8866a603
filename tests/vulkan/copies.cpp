#include "cotenant/vulkan/copies.hpp"

#include <numeric>

#include "cotenant/vulkan/backend.hpp"
#include "test_device.hpp"

using namespace cotenant;

namespace {
template <class T> void check_ways() {
  const test::Checked gpu;
  const test::Checked other;
  std::vector<T> values(60);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(i);
  const auto host = from(values, {3, 4, 5});
  const auto turned = host.permute({2, 0, 1});
  const auto check = [&](const SharedTensor<T>& got, const SharedTensor<T>& expected) {
    REQUIRE(got.shape() == expected.shape());
    for (std::size_t i = 0; i < got.shape()[0]; ++i)
      for (std::size_t j = 0; j < got.shape()[1]; ++j)
        for (std::size_t k = 0; k < got.shape()[2]; ++k) REQUIRE(got.view()(i, j, k) == expected.view()(i, j, k));
  };
  // Up from and down to any strides, on one device, and to another one through the host.
  const auto there = turned.copy_to(*gpu);
  check(there.copy_to(Heap{}), turned);
  check(there.permute({1, 2, 0}).copy_to(Heap{}), host);
  check(there.permute({1, 2, 0}).contiguous().copy_to(Heap{}), host);
  check(there.permute({1, 2, 0}).copy_to(*other).copy_to(Heap{}), host);
  const auto into = empty<T>({4, 5, 3}, *gpu);
  copy_into(into.permute({2, 0, 1}), host);
  check(into.permute({2, 0, 1}).copy_to(Heap{}), host);
}
}  // namespace

TEST_CASE("copies of elements of every size, on every way") {
  check_ways<std::uint8_t>();
  check_ways<f16>();
  check_ways<float>();
  check_ways<std::int64_t>();
}

TEST_CASE("what is copied to borrowed memory is there when the copy returns: its owner reads it by an address of his own") {
  const test::Checked gpu;
  const auto there = from<float>({1, 2, 3, 4}, {4}).copy_to(*gpu);
  std::vector<float> memory(4);
  copy_into(borrow(std::span(memory), {4}), there);
  CHECK(memory == std::vector<float>{1, 2, 3, 4});
  copy_into(borrow(std::span(memory), {2, 2}).transpose(), there.reshape({2, 2}));
  CHECK(memory == std::vector<float>{1, 3, 2, 4});
}

TEST_CASE("who writes into a tensor of the host waits for the copy that still comes into it") {
  const test::Checked gpu;
  const auto there = from<float>({1, 2, 3, 4}, {4}).copy_to(*gpu);
  const auto out = empty<float>({4});
  copy_into(out, there);
  CHECK_FALSE(out.block()->ready());
  static_cast<void>(output(out));
  CHECK(out.block()->ready());
  CHECK(out.view()(2) == 3.f);
}
