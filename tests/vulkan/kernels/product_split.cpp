#include "cotenant/vulkan/kernels/product_split.hpp"

#include "../test_device.hpp"
#include "cotenant/vulkan/kernels/matmul.hpp"
#include "product_code.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("the sum of parts is a sound module, of floats and of integers") {
  const Capabilities device = test::paper_device();
  for (const bool vectors : {true, false})
    for (const DType type : {DType::f32, DType::i32}) {
      ProductCode code = test::plain_code(type, type, DType::f16, Fetch::scalar_depth, Fetch::scalar_depth, 2);
      code.integers = type == DType::i32, code.vector_out = vectors;
      test::check_words(emit_split_sum({device, Addressing::pointers}, code));
      test::check_words(emit_split_sum({device, Addressing::descriptors}, code));
    }
}

TEST_CASE("parts of depth read what elements are made of: their parameters and scalars") {
  const test::Checked gpu;
  Stream& stream = *gpu->shared_stream();
  const std::size_t m = 11, k = 96, n = 13, block = 32;
  std::vector<float> a(m * k), b(k * n), scale(k / block * n), bias(n);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 13) - 6;
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 7) - 3;
  for (std::size_t i = 0; i < scale.size(); ++i) scale[i] = static_cast<float>(1 + i % 4);
  for (std::size_t j = 0; j < n; ++j) bias[j] = static_cast<float>(j);
  const auto left = test::to_device(*gpu, a), right = test::to_device(*gpu, b), scales = test::to_device(*gpu, scale), added = test::to_device(*gpu, bias);
  const auto matrix = [](const auto& x, std::size_t rows, std::size_t columns) { return AnyOperand(input(x)).with(contiguous_layout({rows, columns})); };
  for (const std::size_t splits : {1u, 2u, 3u}) {
    const auto out = empty<float>({m, n}, *gpu);
    const std::array<AnyOperand, 1> extra{AnyOperand(input(added)).with({{m, n}, {0, 1}, 0})};
    MatrixProduct product = matrix_product(k, matrix(left, m, k), matrix(right, k, n), output(out), extra);
    // Between the result and the bias, as quantised operands have their scales: one for each block of depth and column.
    MatrixOperand parameter = matrix_operand(matrix(scales, k / block, n));
    parameter.side = MatrixSide::right;
    product.operands.insert(product.operands.begin() + 3, parameter);
    ProductCode code;
    code.parameters = 1;
    code.element_scalars = {block};
    code.element_text = "scaled";
    code.element_b = [](ProductFrame& frame, bool, Value across, Value depth) {
      const OperandCode &x = frame.operands[1], &s = frame.operands[3];
      return frame.load_number(x, x.base + across * x.column + depth * x.row) *
             frame.load_number(s, s.base + across * s.column + depth / frame.element_scalars[0] * s.row);
    };
    code.epilogue_text = "added";
    code.epilogue = [](ProductFrame&) -> Epilogue {
      return [](const std::vector<Value>& v) { return v[0] + v[1]; };
    };
    ProductPlan plan;
    plan.splits = splits;
    vulkan::detail::run_planned(gpu->device(), stream, product, plan, code);
    const auto host = test::to_host(out);
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        float expected = bias[j];
        for (std::size_t d = 0; d < k; ++d) expected += a[i * k + d] * b[d * n + j] * scale[d / block * n + j];
        CHECK(host[i * n + j] == expected);
      }
  }
}

// lavapipe ends the loops of an invocation after 65535 turns in all.
TEST_CASE("products of great depth are added up to the end, whatever a software device's loops reach") {
  const test::Checked gpu;
  const std::size_t depth = (std::size_t{1} << (gpu->capabilities().type == DeviceType::software ? 18 : 10)) + 5;
  const auto ones = test::to_device(*gpu, std::vector<float>(depth, 1.f));
  for (const std::size_t m : {1u, 9u}) {
    const auto out = empty<float>({m, m}, *gpu);
    const AnyOperand row(input(ones));
    MatrixProduct product = matrix_product(depth, row.with({{m, depth}, {0, 1}, 0}), row.with({{depth, m}, {1, 0}, 0}), output(out));
    ProductCode code;
    code.epilogue_text = "sum", code.epilogue = plain_epilogue;
    vulkan::detail::run_product(gpu->device(), *gpu->shared_stream(), product, code);
    CHECK(test::to_host(out) == std::vector<float>(m * m, static_cast<float>(depth)));
  }
}

}  // namespace
