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
  upload(*gpu->shared_stream(), a.view(), gpu_a.block().get(), gpu_a.block()->data());
  upload(*gpu->shared_stream(), b.view(), gpu_b.block().get(), gpu_b.block()->data());
  const auto out = empty<float>({n, n}, *gpu);
  kernels::quantized_matmul(*gpu->shared_stream(),
                            QuantizedMatmulArguments<std::int8_t, std::int8_t, float,
                                expr::Identity>{input(gpu_a), input(gpu_b), {}, {}, {}, {}, {}, {}, output(out), false});
  const auto host = test::to_host(out);
  for (std::size_t i = 0; i < n * n; ++i) CHECK(host[i] == 1.f);
}

TEST_CASE("weights that lie along depth are read four at a time, with their scales and zero points") {
  const test::Checked gpu;
  const std::size_t rows = 2, depth = 140, columns = 9;
  auto x = full<float>({rows, depth}, 1.f), scale = full<float>({1, columns}, 0.5f);
  auto weights = full<std::uint8_t>({columns, depth}, std::uint8_t{0}), zero = full<std::uint8_t>({1, columns}, std::uint8_t{3});
  for (std::size_t i = 0; i < rows * depth; ++i) x.mutable_view().data()[i] = static_cast<float>(i % 7) - 3;
  for (std::size_t i = 0; i < columns * depth; ++i) weights.mutable_view().data()[i] = static_cast<std::uint8_t>(i * 37 % 251);
  for (std::size_t j = 0; j < columns; ++j) scale.mutable_view().data()[j] = 0.25f * static_cast<float>(j + 1);
  const auto to_device = [&]<class T>(const SharedTensor<T>& host) {
    const auto there = empty<T>(host.shape(), *gpu);
    upload(*gpu->shared_stream(), host.view(), there.block().get(), there.block()->data());
    return there;
  };
  const auto gpu_x = to_device(x), gpu_scale = to_device(scale);
  const auto gpu_weights = to_device(weights), gpu_zero = to_device(zero);
  const auto out = empty<float>({rows, columns}, *gpu);
  const auto by_columns = [&](const auto& parameter) { return input(parameter).with(Layout{Shape{depth, columns}, Strides{0, 1}}); };
  const QuantizedMatmulArguments<float, std::uint8_t, float, expr::Identity> arguments{
      input(gpu_x), input(gpu_weights.transpose()), {}, by_columns(gpu_scale), {}, by_columns(gpu_zero), {}, {}, output(out), false};
  kernels::quantized_matmul(*gpu->shared_stream(), arguments);
  const auto host = test::to_host(out);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j) {
      double sum = 0;
      for (std::size_t d = 0; d < depth; ++d)
        sum += static_cast<double>(x.view()(i, d)) * (weights.view()(j, d) - 3) * static_cast<double>(scale.view().data()[j]);
      CHECK(host[i * columns + j] == doctest::Approx(sum));
    }
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
