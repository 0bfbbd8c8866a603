// quantized_matmul on a Vulkan device: exact integer sums where scales do not change along depth, else products of dequantised values.
#ifndef COTENANT_VULKAN_KERNELS_QUANTIZED_MATMUL_HPP
#define COTENANT_VULKAN_KERNELS_QUANTIZED_MATMUL_HPP
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "cotenant/vulkan/kernels/line_sums.hpp"
#include "cotenant/vulkan/kernels/matmul.hpp"
#include "cotenant/vulkan/operations.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

namespace detail {

// One side's parameters: where among the frame's operands they lie, and how they change.
struct QuantizedSideCode {
  DType type{};
  int scale = -1, zero_point = -1;  // index of the operand
  bool blocks = false;              // they change along depth
  int block_scalar = -1;            // index among the code's element_scalars: values of depth per block
  bool pairs_along_depth = false;   // of i4x2

  std::string key() const {
    return std::string(to_string(type)) + (scale >= 0 ? "s" : "") + (zero_point >= 0 ? "z" : "") + (blocks ? "b" : "") +
        (type == DType::i4x2 ? (pairs_along_depth ? "k" : "n") : "");
  }
  bool plain() const { return scale < 0 && zero_point < 0 && type != DType::i4x2; }
};

// real = (value - zero_point) * scale of one element, as an f32; or value - zero_point as an i32 where sums are of integers. `four`:
// of four bytes that are neighbours along depth, as a vector.
inline Value quantized_element(ProductFrame& frame, const QuantizedSideCode& side, Value block, bool left, Value across, Value depth, bool four = false) {
  const OperandCode& x = frame.operands[left ? 0 : 1];
  const Value stride = left ? x.row : x.column, step = left ? x.column : x.row;
  Value value;
  if (four) {
    value = x.elements.load_vectors((x.base + across * stride + depth) >> 2u, 1)[0];
  } else if (side.type == DType::i4x2) {
    // Two values per byte, the lower half first: sign-extended from its place.
    const Value pair = side.pairs_along_depth ? depth : across;
    const Value byte =
        x.elements.load(x.base + (side.pairs_along_depth ? across : across >> 1u) * stride + (side.pairs_along_depth ? depth >> 1u : depth) * step);
    value = (byte << spirv::bitcast(frame.k.i32(), 28u - (pair & 1u) * 4u)) >> 28;
  } else {
    value = x.elements.load(x.base + across * stride + depth * step);
  }
  const auto parameter = [&](int index) {
    const OperandCode& p = frame.operands[static_cast<std::size_t>(index)];
    Value offset = p.base + across * (left ? p.row : p.column);
    if (side.blocks) offset = offset + depth / block * (left ? p.column : p.row);
    const Value one = p.elements.load(offset);
    return four ? spirv::splat(one, 4) : one;
  };
  if (side.zero_point >= 0) value = value - parameter(side.zero_point);
  if (frame.code.integers) return value;
  value = spirv::convert(spirv::shaped_as(value.type, frame.k.f32()), value);
  return side.scale >= 0 ? value * parameter(side.scale) : value;
}
// Whether four bytes along depth may be read at once.
inline bool reads_four(const QuantizedSideCode& side, const MatrixProduct& product, bool left) {
  const MatrixOperand& x = left ? product.a() : product.b();
  return !side.blocks && (side.type == DType::i8 || side.type == DType::u8) && (left ? x.column : x.row) == 1 && product.depth % 4 == 0 &&
      x.aligned(4, left, product.batch_rank);
}

// A hook that reads a side's elements, or none where they are the numbers.
inline EmitElement quantized_hook(const QuantizedSideCode& side, bool four = false) {
  if (side.plain()) return {};
  return [side, four](ProductFrame& frame, bool left, Value across, Value depth) {
    const Value block = side.blocks ? frame.element_scalars[static_cast<std::size_t>(side.block_scalar)] : Value{};
    return quantized_element(frame, side, block, left, across, depth, four);
  };
}

}  // namespace detail

namespace kernels {

COTENANT_VULKAN_INLINE void quantized_matmul(Stream& stream, const AnyQuantizedMatmul& x) {
  using namespace vulkan::detail;
  Device& device = stream.device();
  const std::size_t depth = x.a.shape().back();
  MatrixProduct product = matrix_product(depth, x.a, x.b, x.out, x.extra);
  if (product.empty()) return;
  const std::vector<MatrixOperand> own(product.operands.begin() + 3, product.operands.end());
  product.operands.resize(3);
  ProductCode code;
  QuantizedSideCode left{x.a.type()}, right{x.b.type()};
  right.pairs_along_depth = x.pairs_along_k;
  // Parameters first, then what the epilogue reads.
  const auto add = [&](const AnyOperand& parameter, MatrixSide side) {
    if (parameter.block == nullptr) return -1;
    product.operands.push_back(matrix_operand(parameter));
    product.operands.back().side = side;
    return static_cast<int>(product.operands.size() - 1);
  };
  left.scale = add(x.a_scale, MatrixSide::left), left.zero_point = add(x.a_zero_point, MatrixSide::left);
  right.scale = add(x.b_scale, MatrixSide::right), right.zero_point = add(x.b_zero_point, MatrixSide::right);
  const auto changes = [&](int index, bool is_left) {
    return index >= 0 && (is_left ? product.operands[static_cast<std::size_t>(index)].column : product.operands[static_cast<std::size_t>(index)].row) != 0;
  };
  left.blocks = changes(left.scale, true) || changes(left.zero_point, true);
  right.blocks = changes(right.scale, false) || changes(right.zero_point, false);
  const auto block_length = [&](const AnyOperand& scale, const AnyOperand& zero, std::size_t back) {
    std::size_t blocks = 1;
    if (scale.block != nullptr) blocks = std::max(blocks, scale.shape()[scale.shape().rank() - back]);
    if (zero.block != nullptr) blocks = std::max(blocks, zero.shape()[zero.shape().rank() - back]);
    return std::max<std::size_t>(depth / blocks, 1);
  };
  const auto add_scalar = [&](std::size_t value) {
    code.element_scalars.push_back(static_cast<std::uint32_t>(value));
    return static_cast<int>(code.element_scalars.size() - 1);
  };
  if (left.blocks) left.block_scalar = add_scalar(block_length(x.a_scale, x.a_zero_point, 1));
  if (right.blocks) right.block_scalar = add_scalar(block_length(x.b_scale, x.b_zero_point, 2));
  code.scalars.assign(x.epilogue.literals.begin(), x.epilogue.literals.end());
  const std::size_t parameters = product.operands.size() - 3;

  const auto bytes = [](DType type) { return type == DType::i8 || type == DType::u8; };
  code.integers = bytes(left.type) && bytes(right.type) && !left.blocks && !right.blocks;
  const bool cooperate =
      code.integers && product.rows > few_rows && product.columns > few_rows && may_cooperate(device.capabilities(), left.type, right.type, true);
  BlockRef row_sums, column_sums;
  std::size_t sum_operands = 0;
  if (cooperate) {
    // Raw bytes go into the matrices. With a' = a - z and b' = b - y: sum a' b' = sum a b - y sum a - z sum b + K z y.
    const bool shifts_left = left.zero_point >= 0 || left.type == DType::u8, shifts_right = right.zero_point >= 0 || right.type == DType::u8;
    if (shifts_right)
      row_sums = line_sums(device, stream, product, true), product.operands.push_back(line_sum_operand(product, row_sums, true)), ++sum_operands;
    if (shifts_left)
      column_sums = line_sums(device, stream, product, false), product.operands.push_back(line_sum_operand(product, column_sums, false)), ++sum_operands;
    code.scalars.push_back(static_cast<std::uint32_t>(depth));
  }
  for (const MatrixOperand& operand : own) product.operands.push_back(operand);

  // The epilogue's first values: the parameters and line sums, as they lie behind the result.
  const bool integers = code.integers;
  code.parameters = cooperate ? 0 : parameters;
  code.epilogue_text = left.key() + " " + right.key() + (cooperate ? " raw " : " ") + std::string(x.epilogue.text);
  code.epilogue = [=, text = x.epilogue.text](ProductFrame& frame) -> Epilogue {
    const RecordedCode recorded(frame.k, text, DType::f32);
    const Value length = cooperate ? frame.k.scalar(frame.k.i32()) : Value{};
    return [=](const std::vector<Value>& values) {
      if (!integers) return recorded(values);
      // values[1 + i] is operand 3 + i.
      const auto value = [&](int operand) { return values[static_cast<std::size_t>(operand) - 2]; };
      const Value sum = values[0];
      Value exact = sum;
      if (cooperate) {
        std::size_t next = 1 + parameters;
        const auto shift = [&](const QuantizedSideCode& side) {
          // Unsigned bytes were read as signed ones, 128 less.
          const std::int32_t less = side.type == DType::u8 ? 128 : 0;
          return side.zero_point >= 0 ? value(side.zero_point) - less : spirv::constant_like(sum, -less);
        };
        const bool shifts_left = left.zero_point >= 0 || left.type == DType::u8, shifts_right = right.zero_point >= 0 || right.type == DType::u8;
        const Value y = shifts_right ? shift(right) : Value{}, z = shifts_left ? shift(left) : Value{};
        if (shifts_right) exact = exact - y * values[next++];
        if (shifts_left) exact = exact - z * values[next++];
        if (shifts_left && shifts_right) exact = exact + z * y * length;
      }
      Value real = spirv::convert(spirv::shaped_as(sum.type, sum.module().f32()), exact);
      if (left.scale >= 0 && right.scale >= 0) real = real * (value(left.scale) * value(right.scale));
      else if (left.scale >= 0) real = real * value(left.scale);
      else if (right.scale >= 0) real = real * value(right.scale);
      std::vector<Value> arguments{real};
      arguments.insert(arguments.end(), values.begin() + static_cast<std::ptrdiff_t>(1 + parameters + sum_operands), values.end());
      return recorded(arguments);
    };
  };
  if (!cooperate) {
    code.element_a = quantized_hook(left);
    code.element_b = quantized_hook(right);
    const bool four_left = reads_four(left, product, true), four_right = reads_four(right, product, false);
    if (four_left) code.four_a = quantized_hook(left, true);
    if (four_right) code.four_b = quantized_hook(right, true);
    code.element_text = "elements " + left.key() + (four_left ? "4 " : " ") + right.key() + (four_right ? "4" : "");
  }
  run_product(device, stream, std::move(product), std::move(code), !cooperate);
}

}  // namespace kernels
}  // namespace cotenant::vulkan

#endif
