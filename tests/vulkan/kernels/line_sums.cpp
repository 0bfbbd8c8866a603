#include "cotenant/vulkan/kernels/line_sums.hpp"

#include "../test_device.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("sums of byte lines along depth, unsigned ones 128 less") {
  const test::Checked gpu;
  const std::size_t m = 5, k = 70, n = 9;
  auto a = empty<std::uint8_t>({m, k});
  auto b = empty<std::int8_t>({k, n});
  for (std::size_t i = 0; i < m * k; ++i) a.mutable_view().data()[i] = static_cast<std::uint8_t>(i * 37);
  for (std::size_t i = 0; i < k * n; ++i) b.mutable_view().data()[i] = static_cast<std::int8_t>(i * 29);
  const auto sums_of = [&](bool left) {
    const auto gpu_a = empty<std::uint8_t>({m, k}, *gpu);
    const auto gpu_b = empty<std::int8_t>({k, n}, *gpu);
    upload(*gpu->shared_stream(), a.view(), gpu_a.block().get(), gpu_a.block()->data());
    upload(*gpu->shared_stream(), b.view(), gpu_b.block().get(), gpu_b.block()->data());
    const auto out = empty<float>({m, n}, *gpu);
    const MatrixProduct product = matrix_product(k, input(gpu_a), input(gpu_b), output(out));
    const BlockRef sums = vulkan::detail::line_sums(gpu->device(), *gpu->shared_stream(), product, left);
    const MatrixOperand operand = vulkan::detail::line_sum_operand(product, sums, left);
    CHECK(operand.reach.elements == (left ? m : n));
    CHECK((left ? operand.row : operand.column) == 1);
    auto host = empty<std::int32_t>({left ? m : n});
    download(*gpu->shared_stream(), sums.get(), sums->data(), host.mutable_view(), host.block().get());
    host.block()->wait();
    return std::vector<std::int32_t>(host.view().data(), host.view().data() + host.size());
  };
  const auto rows = sums_of(true), columns = sums_of(false);
  for (std::size_t i = 0; i < m; ++i) {
    std::int32_t expected = 0;
    for (std::size_t s = 0; s < k; ++s) expected += a.view()(i, s) - 128;
    CHECK(rows[i] == expected);
  }
  for (std::size_t j = 0; j < n; ++j) {
    std::int32_t expected = 0;
    for (std::size_t s = 0; s < k; ++s) expected += b.view()(s, j);
    CHECK(columns[j] == expected);
  }
}

}  // namespace
