// The oracle of quantisation: halves of bytes, ties, ranges.
#include <doctest/doctest.h>

#include <cotenant/reference/quantized.hpp>

#include <cmath>
#include <vector>

namespace cotenant::test {

TEST_CASE("an even position is the low half of a byte, an odd one the high half") {
  std::vector<i4x2> memory{i4x2(1, -2), i4x2(7, -8)};
  const auto halves = View<i4x2>::unchecked(memory.data(), {{2, 2}, {1, 0}, 0});
  CHECK(reference::quantized_at(View<const i4x2>(halves), 1) == -2);
  CHECK(reference::quantized_at(View<const i4x2>(halves), 2) == 7);
  reference::set_quantized(halves, 2, -1);
  CHECK(memory[1] == i4x2(-1, -8));
}

TEST_CASE("the quotient is rounded as a float, ties to even, and not a number is the zero point") {
  CHECK(reference::quantized(2.5f, 1, 0, -128, 127) == 2);
  CHECK(reference::quantized(-1.5f, 1, 10, 0, 255) == 8);
  CHECK(reference::quantized(std::nanf(""), 1, 3, 0, 255) == 3);
  CHECK(reference::quantized(1e30f, 1e-3f, 5, 0, 255) == 255);
}

}  // namespace cotenant::test
