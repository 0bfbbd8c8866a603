// QuantizedWeights: parameters by block and column.
#include "cotenant/cpu/quantized_weights.hpp"

#include <doctest/doctest.h>

namespace cotenant::test {

TEST_CASE("parameters are found by block and column; without zero points they are 0") {
  const float scale[] = {1, 2, 3, 4, 5, 6};
  const std::int8_t zero[] = {-1, 7};
  cpu::QuantizedWeights weights;
  weights.scale = scale;
  weights.scale_block_stride = 1;
  weights.scale_column_stride = 2;  // stored [N, blocks]
  CHECK(weights.scale_at(1, 2) == 6);
  CHECK(weights.zero_at<std::int8_t>(1, 1) == 0);
  weights.zero = zero;
  weights.zero_column_stride = 1;
  CHECK(weights.zero_at<std::int8_t>(3, 0) == -1);
  CHECK(weights.zero_at<std::int8_t>(0, 1) == 7);
}

}  // namespace cotenant::test
