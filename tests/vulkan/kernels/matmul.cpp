#include "cotenant/vulkan/kernels/matmul.hpp"

#include "../test_device.hpp"
#include "product_code.hpp"

// Every shape, stride and element type against the reference: tests/backend/vulkan_matmul.cpp.
namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("every plan gives the same product, shared out over depth or not") {
  const test::Checked gpu;
  const std::size_t m = 36, k = 132, n = 44;
  std::vector<float> a(m * k), b(k * n);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 11) - 5;
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 5) - 2;
  const auto left = test::to_device(*gpu, a), right = test::to_device(*gpu, b);
  std::vector<ProductPlan> plans(4);
  plans[1].simt.groups_over = 1;
  plans[2].simt = {8, 8, 1, 1, 16, false};
  plans[3].kernel = ProductKernel::few;
  plans[3].few = {4, 8, 256, false};
  for (const ProductPlan& given : plans)
    for (const std::size_t splits : {1u, 3u}) {
      const auto out = empty<float>({m, n}, *gpu);
      ProductPlan plan = given;
      plan.splits = splits;
      ProductCode code;
      code.epilogue_text = "plain", code.epilogue = plain_epilogue;
      const MatrixProduct product = matrix_product(k, input(left).with(contiguous_layout({m, k})), input(right).with(contiguous_layout({k, n})), output(out));
      vulkan::detail::run_planned(gpu->device(), *gpu->shared_stream(), product, plan, code);
      const auto host = test::to_host(out);
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < m; ++i)
        for (std::size_t j = 0; j < n; ++j) {
          float expected = 0;
          for (std::size_t s = 0; s < k; ++s) expected += a[i * k + s] * b[s * n + j];
          wrong += host[i * n + j] != expected;
        }
      CHECK(wrong == 0);
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
