#include "cotenant/vulkan/dense_elements.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "cotenant/share/tensor.hpp"

namespace vk = cotenant::vulkan;

TEST_CASE("any layout is packed and unpacked in row-major order, in parts") {
  std::vector<int> all(60);
  std::iota(all.begin(), all.end(), 0);
  const auto base = cotenant::from(all, {3, 4, 5});
  for (const auto& view : {base.transpose(0, 2), base.slice(1, 3, 0, -1).slice(2, 0, 5, 2), base.select(0, 1), base.permute({1, 2, 0}), base.slice(0, 2, 0, -2)}) {
    const auto expected = [&] {
      std::vector<int> values;
      const auto elements = view.view();
      vk::for_each_row(elements, 0, view.size(), [&](std::ptrdiff_t offset, std::size_t length, std::size_t at) {
        CHECK(at == values.size());
        for (std::size_t i = 0; i < length; ++i) values.push_back(elements.data()[offset + static_cast<std::ptrdiff_t>(i) * elements.strides().back()]);
      });
      return values;
    }();
    REQUIRE(expected.size() == view.size());
    for (std::size_t part : {std::size_t{1}, std::size_t{3}, std::size_t{7}, view.size()}) {
      std::vector<int> packed(view.size(), -1);
      for (std::size_t first = 0; first < packed.size(); first += part)
        vk::pack(view.view(), first, std::min(part, packed.size() - first), packed.data() + first);
      CHECK(packed == expected);
      std::vector<int> spread(60, -1);
      const auto target = cotenant::View<int>::unchecked(spread.data(), view.layout());
      for (std::size_t first = 0; first < packed.size(); first += part)
        vk::unpack(packed.data() + first, target, first, std::min(part, packed.size() - first));
      for (std::size_t i = 0; i < 60; ++i) CHECK((spread[i] == -1 || spread[i] == static_cast<int>(i)));
      CHECK(static_cast<std::size_t>(std::count(spread.begin(), spread.end(), -1)) == 60 - view.size());
    }
  }
  // [1][2][3] of the transposed tensor is [3][2][1] of the base.
  std::vector<int> packed(60);
  vk::pack(base.transpose(0, 2).view(), 0, 60, packed.data());
  CHECK(packed[(3 * 4 + 2) * 3 + 1] == (1 * 4 + 2) * 5 + 3);
}
