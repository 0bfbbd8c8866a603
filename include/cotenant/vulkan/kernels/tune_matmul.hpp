// tune_matmul: measures the tiles for products of given extents on this device and remembers the fastest, for this run and later ones.
#ifndef COTENANT_VULKAN_KERNELS_TUNE_MATMUL_HPP
#define COTENANT_VULKAN_KERNELS_TUNE_MATMUL_HPP
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "cotenant/vulkan/kernels/matmul.hpp"
#include "cotenant/vulkan/timestamps.hpp"

namespace cotenant::vulkan {

// Products a [rows, depth] · b [depth, columns] of T (float, f16, bf16; int8_t: exact sums of bytes), each side row-major or stored
// transposed. Takes some milliseconds per tile, and the time that the driver needs to compile each. Returns the chosen tile's name.
// Without it plans are chosen by the extents alone, the same every time. Errors: Unsupported where the device has no clock, OutOfMemory.
template <class T> requires(FloatElement<T> || std::same_as<T, std::int8_t>)
std::string tune_matmul(const Vulkan& gpu, std::size_t rows, std::size_t depth, std::size_t columns, bool a_transposed = false, bool b_transposed = false) {
  using Out = std::conditional_t<std::same_as<T, std::int8_t>, std::int32_t, T>;
  constexpr bool integers = std::same_as<T, std::int8_t>;
  const auto side = [&](bool transposed, std::size_t m, std::size_t n) { return transposed ? empty<T>({n, m}, gpu).transpose() : empty<T>({m, n}, gpu); };
  const auto a = side(a_transposed, rows, depth), b = side(b_transposed, depth, columns);
  const auto out = empty<Out>({rows, columns}, gpu);
  Device& device = gpu.device();
  Stream& stream = *gpu.shared_stream();
  MatrixProduct product = matrix_product(depth, input(a), input(b), output(out));
  if (product.empty()) return {};
  ProductCode plain;
  plain.integers = integers, plain.epilogue_text = "a0", plain.epilogue = plain_epilogue;
  const auto copies = detail::prepare_sides(device, stream, product, plain);
  Timestamps clock(stream, 2);
  const auto seconds = [&](const ProductPlan& plan, int calls) {
    clock.mark(0);
    for (int i = 0; i < calls; ++i) detail::run_planned(device, stream, product, plan, plain);
    clock.mark(1);
    return clock.seconds(0, 1) / calls;
  };
  const std::vector<ProductPlan> plans = product_candidates(device.capabilities(), product, integers);
  // Compiled and warm before anything counts; then every tile by turns, so that a change of the clock meets all of them.
  for (const ProductPlan& plan : plans) seconds(plan, 1);
  std::vector<double> best(plans.size(), 1e30);
  const int calls = std::clamp(static_cast<int>(2e-3 / std::max(seconds(plans[0], 1), 1e-7)), 1, 50);
  for (int round = 0; round < 5; ++round)
    for (std::size_t i = 0; i < plans.size(); ++i) best[i] = std::min(best[i], seconds(plans[i], calls));
  const ProductPlan& fastest = plans[static_cast<std::size_t>(std::min_element(best.begin(), best.end()) - best.begin())];
  ProductTuning::of(device).set(product, integers, fastest);
  return std::string(fastest.key().view());
}

}  // namespace cotenant::vulkan

#endif
