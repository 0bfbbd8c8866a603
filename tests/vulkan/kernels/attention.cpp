#include "cotenant/vulkan/kernels/attention.hpp"

#include "../test_device.hpp"
#include "product_code.hpp"

// Against the reference: tests/backend/vulkan_attention.cpp.
namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("attention on cooperative matrices: 16 bits everywhere, rows that registers have room for") {
  const Capabilities device = test::paper_device();
  MatrixProduct product;
  product.rows = 128, product.columns = 72, product.depth = 40;
  product.operands.resize(4);
  for (MatrixOperand& x : product.operands) x.type = DType::bf16;
  CHECK(vulkan::detail::may_attend_cooperatively(device, product, 64) == false);  // no conversion and no such sums
  Capabilities converts = device;
  converts.cooperative_matrix2_conversions = true;
  REQUIRE(vulkan::detail::may_attend_cooperatively(converts, product, 64));
  CHECK(!vulkan::detail::may_attend_cooperatively(converts, product, 0));  // no line of keys to read
  const CooperativeAttentionTile tile = vulkan::detail::cooperative_attention_tile(converts, product);
  CHECK(tile.depth == 48);
  CHECK(tile.width == 80);
  product.depth = 129;
  CHECK(!vulkan::detail::may_attend_cooperatively(converts, product, 64));
  product.depth = 40, product.operands[2].type = DType::f32;
  CHECK(!vulkan::detail::may_attend_cooperatively(converts, product, 64));
  product.operands[2].type = DType::bf16, converts.shared_memory_bytes = 32768;
  CHECK(!vulkan::detail::may_attend_cooperatively(converts, product, 64));
}

TEST_CASE("words of operands lie along a position's elements, never across positions") {
  MatrixProduct product;
  product.rows = product.columns = product.depth = 64;
  product.operands.resize(4);
  for (MatrixOperand& x : product.operands) x.type = DType::f16, x.row = 64, x.column = 1;
  product.operands[1].row = 1, product.operands[1].column = 64;  // as [D, N]
  const auto code = [&] { return vulkan::detail::attention_code(product, 64, true, 8, MaskKind::none, false); };
  CHECK(code().product.fetch_a == Fetch::vector_depth);
  CHECK(code().product.fetch_b == Fetch::vector_depth);
  CHECK(code().fetch_v == Fetch::vector_across);
  for (const std::size_t i : {0, 1, 3}) std::swap(product.operands[i].row, product.operands[i].column);
  CHECK(code().product.fetch_a == Fetch::scalar_depth);
  CHECK(code().product.fetch_b == Fetch::scalar_depth);
  CHECK(code().fetch_v == Fetch::scalar_depth);
}

TEST_CASE("rows wider than a tile may take the queries' place") {
  const test::Checked gpu;
  // One key: every result is its value.
  const std::size_t width = 300;
  std::vector<float> values(width);
  for (std::size_t i = 0; i < width; ++i) values[i] = static_cast<float>(i);
  const auto v = test::to_device(*gpu, values), k = test::to_device(*gpu, std::vector<float>(width, 1.f));
  const auto q = test::to_device(*gpu, std::vector<float>(3 * width, 0.5f));
  const auto row = [&](const auto& x) { return input(x).with(contiguous_layout({1, width})); };
  kernels::attention(*gpu->shared_stream(),
                     AttentionArguments<float, float, float, bool, float>{input(q).with(contiguous_layout({3, width})), row(k), row(v), {}, 1.f, false,
                         output(q).with(contiguous_layout({3, width}))});
  const auto host = test::to_host(q);
  for (std::size_t i = 0; i < 3 * width; ++i) REQUIRE(host[i] == values[i % width]);
}

}  // namespace
