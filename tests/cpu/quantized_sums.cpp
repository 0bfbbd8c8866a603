// Sums along rows and columns of bytes; those of frozen weights are made once.
#include "cotenant/cpu/quantized_sums.hpp"

#include <doctest/doctest.h>

#include <vector>

namespace cotenant::test {

TEST_CASE("sums of lines, along and across memory, with a shift of each element") {
  std::vector<std::int8_t> data(3 * 40);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::int8_t>(static_cast<int>(i * 7 % 256) - 128);
  std::int32_t along[3], across[40];
  cpu::sum_lines(data.data(), 3, 40, 40, 1, 128, along);
  cpu::sum_lines(data.data(), 40, 1, 3, 40, 0, across);
  for (std::size_t row = 0; row < 3; ++row) {
    std::int32_t sum = 0;
    for (std::size_t j = 0; j < 40; ++j) sum += data[row * 40 + j] + 128;
    CHECK(along[row] == sum);
  }
  for (std::size_t j = 0; j < 40; ++j) CHECK(across[j] == data[j] + data[40 + j] + data[80 + j]);
}

TEST_CASE("sums are kept with a frozen block that is large enough, and only there") {
  const auto sums_of = [](const SharedTensor<std::uint8_t>& weights) {
    std::vector<std::int32_t> sums(weights.shape(1));
    cpu::column_sums(input(weights), weights.block().get(), -128, sums.data());
    return sums;
  };
  const auto weights = full<std::uint8_t>({64, 80}, 3);
  CHECK(sums_of(weights)[79] == 64 * (3 - 128));
  CHECK(weights.block()->derived_if_any() == nullptr);
  weights.freeze();
  CHECK(sums_of(weights)[0] == 64 * (3 - 128));
  REQUIRE(weights.block()->derived_if_any() != nullptr);
  CHECK(weights.block()->derived_if_any()->bytes() >= 80 * sizeof(std::int32_t));
  CHECK(sums_of(weights)[5] == 64 * (3 - 128));
}

}  // namespace cotenant::test
