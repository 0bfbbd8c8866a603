#include "cotenant/vulkan/kernels/product_pack.hpp"

#include "../test_device.hpp"
#include "cotenant/vulkan/kernels/matmul.hpp"
#include "product_code.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("a packed or turned side gives the same product, whatever its layout was") {
  const test::Checked gpu;
  Stream& stream = *gpu->shared_stream();
  const std::size_t m = 33, k = 41, n = 35;
  std::vector<float> a(m * k), b(k * n);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 13) - 6;
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 7) - 3;
  for (const bool a_transposed : {false, true})
    for (const bool b_transposed : {false, true})
      for (const int sides : {1, 2, 3, 5, 6, 7}) {
        const auto left = test::to_device(*gpu, a), right = test::to_device(*gpu, b);
        const auto out = empty<float>({m, n}, *gpu);
        const auto layout = [](bool transposed, std::size_t rows, std::size_t columns) {
          return transposed ? Layout{{rows, columns}, {1, static_cast<std::ptrdiff_t>(rows)}, 0} : contiguous_layout({rows, columns});
        };
        MatrixProduct product = matrix_product(k, input(left).with(layout(a_transposed, m, k)), input(right).with(layout(b_transposed, k, n)), output(out));
        ProductCode code;
        code.epilogue_text = "plain", code.epilogue = plain_epilogue;
        BlockRef kept[2];
        const auto prepared = [&](bool is_left) {
          const bool turns = (sides & 4) != 0 && (is_left ? product.a().column : product.b().row) == 1;
          return turns ? vulkan::detail::turn_side(gpu->device(), stream, product, is_left) : vulkan::detail::pack_side(gpu->device(), stream, product, code, is_left);
        };
        if (sides & 1) kept[0] = prepared(true);
        if (sides & 2) kept[1] = prepared(false);
        // The tile of a GPU, on whatever device this is.
        ProductPlan plan;
        plan.simt.groups_over = plan.simt.groups_down = 1;
        vulkan::detail::run_planned(gpu->device(), stream, product, plan, code);
        const auto host = test::to_host(out);
        for (const std::size_t i : {std::size_t{0}, m - 1})
          for (const std::size_t j : {std::size_t{0}, n - 1}) {
            float expected = 0;
            for (std::size_t s = 0; s < k; ++s) expected += a[a_transposed ? s * m + i : i * k + s] * b[b_transposed ? j * k + s : s * n + j];
            CHECK(host[i * n + j] == expected);
          }
      }
}

TEST_CASE("bytes are packed and turned along depth, where matrices want them") {
  const test::Checked gpu;
  Stream& stream = *gpu->shared_stream();
  const std::size_t m = 19, k = 48, n = 21;
  std::vector<std::int8_t> a(m * k), b(k * n);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<std::int8_t>(i * 37 % 251 - 125);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<std::int8_t>(i * 91 % 249 - 124);
  for (const bool across : {false, true})
    for (const bool turned : {false, true}) {
      const auto left = test::to_device(*gpu, a), right = test::to_device(*gpu, b);
      const auto out = empty<std::int32_t>({m, n}, *gpu);
      const auto layout = [](bool transposed, std::size_t rows, std::size_t columns) {
        return transposed ? Layout{{rows, columns}, {1, static_cast<std::ptrdiff_t>(rows)}, 0} : contiguous_layout({rows, columns});
      };
      MatrixProduct product = matrix_product(k, input(left).with(layout(across, m, k)), input(right).with(layout(!across, k, n)), output(out));
      ProductCode code;
      code.integers = true;
      code.epilogue_text = "plain", code.epilogue = plain_epilogue;
      std::array<BlockRef, 2> kept;
      for (const bool is_left : {true, false})
        kept[is_left ? 0 : 1] = turned ? vulkan::detail::turn_side(gpu->device(), stream, product, is_left)
                                       : vulkan::detail::pack_side(gpu->device(), stream, product, code, is_left);
      CHECK(product.a().column == 1);
      CHECK(product.b().row == 1);
      CHECK(product.a().row == 48);
      vulkan::detail::run_planned(gpu->device(), stream, product, ProductPlan{}, code);
      const auto host = test::to_host(out);
      for (const std::size_t i : {std::size_t{0}, m - 1})
        for (const std::size_t j : {std::size_t{0}, n - 1}) {
          std::int32_t expected = 0;
          for (std::size_t s = 0; s < k; ++s) expected += a[across ? s * m + i : i * k + s] * b[!across ? j * k + s : s * n + j];
          CHECK(host[i * n + j] == expected);
        }
    }
}

TEST_CASE("only what tiles would read element by element, and often, is packed") {
  const Capabilities device = test::paper_device();
  MatrixProduct product;
  product.rows = product.columns = product.depth = 1024;
  product.operands.resize(3);
  for (MatrixOperand& x : product.operands) x.type = DType::f16, x.row = 1024, x.column = 1;
  ProductCode code;
  CHECK_FALSE(vulkan::detail::worth_packing(device, product, code, true));
  product.a().row = 1025;
  CHECK(vulkan::detail::worth_packing(device, product, code, true));
  product.columns = 16;
  CHECK_FALSE(vulkan::detail::worth_packing(device, product, code, true));
  // Sums of integers are of the elements themselves where matrices take them, else hooks read them.
  product.columns = 1024;
  for (MatrixOperand& x : product.operands) x.type = DType::u8;
  code.integers = true;
  CHECK(vulkan::detail::worth_packing(device, product, code, true));
  code.element_b = [](ProductFrame& frame, bool, spirv::Value, spirv::Value) { return frame.k.constant(1); };
  CHECK_FALSE(vulkan::detail::worth_packing(device, product, code, true));
}

}  // namespace
