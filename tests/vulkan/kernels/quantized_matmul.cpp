#include "cotenant/vulkan/kernels/quantized_matmul.hpp"

#include "../test_device.hpp"

// Every kind of parameter against the reference: tests/backend/vulkan_quantized.cpp.
namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("integer sums beyond what a float counts are exact") {
  const test::Checked gpu;
  // 1500 products of 127 · 127, as many of -127 · 127, and one of 1: on the way the sum is 24193500, more than a float counts to.
  const std::size_t half = 1500, k = 2 * half + 1, n = 12;
  auto a = full<std::int8_t>({n, k}, std::int8_t{127}), b = full<std::int8_t>({k, n}, std::int8_t{127});
  for (std::size_t i = half * n; i < 2 * half * n; ++i) b.mutable_view().data()[i] = -127;
  for (std::size_t i = 0; i < n; ++i) a.mutable_view().data()[i * k + k - 1] = 1, b.mutable_view().data()[(k - 1) * n + i] = 1;
  const auto gpu_a = empty<std::int8_t>({n, k}, *gpu), gpu_b = empty<std::int8_t>({k, n}, *gpu);
  upload<std::int8_t>(*gpu->shared_stream(), a.view(), gpu_a.block().get(), gpu_a.block()->data());
  upload<std::int8_t>(*gpu->shared_stream(), b.view(), gpu_b.block().get(), gpu_b.block()->data());
  const auto out = empty<float>({n, n}, *gpu);
  kernels::quantized_matmul(gpu->device(), *gpu->shared_stream(),
                            QuantizedMatmulArguments<std::int8_t, std::int8_t, float,
                                expr::Identity>{input(gpu_a), input(gpu_b), {}, {}, {}, {}, {}, {}, output(out), false});
  const auto host = test::to_host(out);
  for (std::size_t i = 0; i < n * n; ++i) CHECK(host[i] == 1.f);
}

TEST_CASE("a side's key tells what its parameters are") {
  vulkan::detail::QuantizedSideCode side{DType::i4x2};
  CHECK_FALSE(side.plain());
  const std::string across = side.key();
  side.pairs_along_depth = true;
  CHECK(side.key() != across);
  vulkan::detail::QuantizedSideCode bytes{DType::i8};
  CHECK(bytes.plain());
  bytes.scale = 3;
  CHECK_FALSE(bytes.plain());
  const std::string whole = bytes.key();
  bytes.blocks = true;
  CHECK(bytes.key() != whole);
}

}  // namespace
