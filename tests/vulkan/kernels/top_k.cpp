#include "cotenant/vulkan/kernels/top_k.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "../test_device.hpp"
#include "cotenant/vulkan.hpp"

using namespace cotenant;

TEST_CASE("argmax of long rows is the first of equals, and NaN before all") {
  const test::Checked gpu;
  for (const std::size_t length : {30u, 1000u, 40000u}) {
    std::vector<float> values(2 * length, -1);
    values[length / 2] = values[length - 1] = 5;
    values[length + 3] = 9, values[length + 7] = std::nanf("");
    const auto best = argmax(test::to_device(gpu, values).reshape({2, length})).copy_to<Heap>();
    CHECK(best.view()(0) == static_cast<std::int32_t>(length / 2));
    CHECK(best.view()(1) == 7);
  }
}

TEST_CASE("all elements in falling order: -0 equals 0, integers from the least on") {
  const test::Checked gpu;
  const auto x = test::to_device(gpu, {-0.f, 0.f, -1e-45f, 2, -std::numeric_limits<float>::infinity(), 2});
  const auto [values, indices] = top_k(x, 6);
  const auto order = indices.copy_to<Heap>();
  const std::vector<std::int32_t> expected{3, 5, 0, 1, 2, 4};
  for (std::size_t i = 0; i < 6; ++i) CHECK(order.view().data()[i] == expected[i]);
  CHECK(std::signbit(test::to_host(values)[2]));
  constexpr std::int32_t least = std::numeric_limits<std::int32_t>::lowest();
  const auto whole = top_k(from({least, 7, least, -1}, {4}).copy_to(*gpu), 4).indices.copy_to<Heap>();
  const std::vector<std::int32_t> falling{1, 3, 0, 2};
  for (std::size_t i = 0; i < 4; ++i) CHECK(whole.view().data()[i] == falling[i]);
}
