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
