#include "cotenant/vulkan/kernels/matmul.hpp"

#include "../test_device.hpp"
#include "product_code.hpp"

// Every shape, stride and element type against the reference: tests/backend/vulkan_matmul.cpp.
namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

// a [m, k] · b [k, n] of small whole numbers by one plan, b stored [n, k] where `turned`: how many results are wrong.
std::size_t wrong_results(const Vulkan& gpu, ProductPlan plan, std::size_t m, std::size_t k, std::size_t n, std::size_t splits, bool turned = false) {
  std::vector<float> a(m * k), b(k * n);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 11) - 5;
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 5) - 2;
  const auto left = test::to_device(gpu, a), right = test::to_device(gpu, b);
  const auto out = empty<float>({m, n}, gpu);
  plan.splits = splits;
  ProductCode code;
  code.epilogue_text = "plain", code.epilogue = plain_epilogue;
  Layout sides = contiguous_layout(turned ? Shape{n, k} : Shape{k, n});
  if (turned) sides.shape = {k, n}, sides.strides = {1, static_cast<std::ptrdiff_t>(k)};
  const MatrixProduct product = matrix_product(k, input(left).with(contiguous_layout({m, k})), input(right).with(sides), output(out));
  vulkan::detail::run_planned(gpu.device(), *gpu.shared_stream(), product, plan, code);
  const auto host = test::to_host(out);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      float expected = 0;
      for (std::size_t s = 0; s < k; ++s) expected += a[i * k + s] * (turned ? b[j * k + s] : b[s * n + j]);
      wrong += host[i * n + j] != expected;
    }
  return wrong;
}

TEST_CASE("every plan gives the same product, shared out over depth or not") {
  const test::Checked gpu;
  std::vector<ProductPlan> plans(3);
  plans[1].simt.groups_over = 1;
  plans[2].simt = {8, 8, 1, 1, 16, false};
  for (const ProductPlan& plan : plans)
    for (const std::size_t splits : {1u, 3u}) CHECK(wrong_results(*gpu, plan, 36, 132, 44, splits) == 0);
}

TEST_CASE("a few rows: whole rounds, their rest and what lies behind it, along depth and across") {
  const test::Checked gpu;
  ProductPlan plan;
  plan.kernel = ProductKernel::few;
  // 8 groups of 4 and 8 steps make whole rounds of 32 and 64; 8 lanes of 4 steps, 4 at a time, rounds of 128.
  for (const FewTile& tile : {FewTile{1, 8, 64, false, 4}, FewTile{4, 8, 64, false, 8}, FewTile{1, 8, 64, true, 4}, FewTile{4, 8, 64, true, 4}})
    for (const std::size_t depth : {1u, 4u, 30u, 68u, 132u, 260u, 523u}) {
      CAPTURE(depth);
      plan.few = tile;
      for (const std::size_t splits : {1u, 3u}) CHECK(wrong_results(*gpu, plan, tile.rows == 1 ? 1 : 3, depth, 44, splits, tile.along_depth) == 0);
      CHECK(wrong_results(*gpu, plan, 1, depth, 43, 1, tile.along_depth) == 0);
    }
}

TEST_CASE("operands that one kernel cannot count through are refused") {
  MatrixProduct product;
  product.rows = product.columns = product.depth = 4;
  product.operands.resize(3);
  product.operands[1].reach.elements = std::size_t{1} << 31;
  CHECK_THROWS_AS(vulkan::detail::check_reach(product), Unsupported);
}

}  // namespace
