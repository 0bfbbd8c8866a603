// Products of quantised operands on one CPU target: exact integer sums, or weights that are dequantised as panels are packed.
#if defined(COTENANT_CPU_QUANTIZED_MATMUL_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_QUANTIZED_MATMUL_INL_HPP
#undef COTENANT_CPU_QUANTIZED_MATMUL_INL_HPP
#else
#define COTENANT_CPU_QUANTIZED_MATMUL_INL_HPP
#endif
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include <hwy/highway.h>

#include "cotenant/cpu/matmul-inl.hpp"
#include "cotenant/cpu/quantized_panel-inl.hpp"
#include "cotenant/cpu/quantized_skinny-inl.hpp"
#include "cotenant/cpu/quantized_sums.hpp"
#include "cotenant/ops/quantized_matmul.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

template <std::int64_t Compiled> struct QuantizedMatmuls {
  template <class A, class B, class Out, class E, class... Extra>
  static void quantized_matmul(const QuantizedMatmulArguments<A, B, Out, E, Extra...>& a) {
    const Shape& shape = a.out.shape();
    const std::size_t rank = shape.rank();
    if (element_count(shape) == 0) return;
    // One product for each batch entry: entries that follow each other as rows do are taken as rows already, by the caller.
    Shape batch = shape.part(0, rank - 2);
    const std::size_t batches = element_count(batch);
    for (std::size_t entry = 0; entry < batches; ++entry) {
      const auto matrix = [&]<class T>(const Operand<T>& operand) {
        if (operand.block == nullptr) return operand;
        Layout layout = operand.view.layout();
        std::size_t rest = entry;
        for (std::size_t axis = rank - 2; axis-- > 0; rest /= batch[axis])
          layout.offset += static_cast<std::ptrdiff_t>(rest % batch[axis]) * layout.strides[axis];
        return operand.with({layout.shape.part(rank - 2, rank), layout.strides.part(rank - 2, rank), layout.offset});
      };
      std::apply(
          [&](const auto&... extra) {
            const QuantizedMatmulArguments<A, B, Out, E, Extra...> one{matrix(a.a), matrix(a.b), matrix(a.a_scale), matrix(a.b_scale), matrix(a.a_zero_point),
                                                                       matrix(a.b_zero_point), a.epilogue, {matrix(extra)...}, matrix(a.out), a.pairs_along_k};
            if constexpr (FloatElement<A>) weight_only(one, std::index_sequence_for<Extra...>{});
            else integers(one, std::index_sequence_for<Extra...>{});
          },
          a.extra);
    }
  }

 private:
  using Product = Matmuls<Compiled>;

  // Of signed values on the left and unsigned ones on the right 128 is added or taken away, and so it is of their zero points; then
  //   sum of (a - za) (b - zb) = sum of a b - za[m] * (sum of b)[n] - zb[n] * ((sum of a)[m] - depth * za[m]).
  template <class A, class B, class Out, class E, class... Extra, std::size_t... I>
  static void integers(const QuantizedMatmulArguments<A, B, Out, E, Extra...>& a, std::index_sequence<I...> extras) {
    constexpr std::int32_t left_shift = std::is_signed_v<A> ? 128 : 0, right_shift = std::is_signed_v<B> ? 0 : -128;
    const std::size_t rows = a.out.shape()[0], columns = a.out.shape()[1], depth = a.a.shape()[1];
    const std::size_t padded = columns + hn::Lanes(FloatTag{});
    const bool has_row_zero = left_shift != 0 || a.a_zero_point.block != nullptr, has_column_zero = right_shift != 0 || a.b_zero_point.block != nullptr;
    const bool one_row_scale = a.a_scale.view.stride(0) == 0 || rows == 1;
    // Until the product is done: six arrays.
    float* const memory = cpu::scratch(cpu::ScratchUse::shared_rows, 3 * rows + 3 * padded);
    float *row_scale = memory, *column_scale = memory + 3 * rows;
    auto* const row_zero = reinterpret_cast<std::int32_t*>(memory + rows);
    auto* const row_sums = row_zero + rows;
    auto* const column_zero = reinterpret_cast<std::int32_t*>(column_scale + padded);
    auto* const column_sums = column_zero + padded;
    for (std::size_t m = 0; m < rows; ++m) {
      const auto at = static_cast<std::ptrdiff_t>(m);
      row_scale[m] = a.a_scale.view.data()[at * a.a_scale.view.stride(0)];
      row_zero[m] = left_shift + (a.a_zero_point.block == nullptr ? 0 : a.a_zero_point.view.data()[at * a.a_zero_point.view.stride(0)]);
    }
    for (std::size_t n = 0; n < columns; ++n) {
      const auto at = static_cast<std::ptrdiff_t>(n);
      column_scale[n] = a.b_scale.view.data()[at * a.b_scale.view.stride(1)] * (one_row_scale ? row_scale[0] : 1);
      if (has_column_zero) column_zero[n] = right_shift + (a.b_zero_point.block == nullptr ? 0
          : a.b_zero_point.view.data()[at * a.b_zero_point.view.stride(1)]);
    }
    for (float* array : {column_scale, column_scale + padded, column_scale + 2 * padded}) std::fill(array + columns, array + padded, 0.0f);
    if (has_column_zero) {
      cpu::sum_lines(a.a.view.data(), rows, a.a.view.stride(0), depth, a.a.view.stride(1), left_shift, row_sums);
      for (std::size_t m = 0; m < rows; ++m) row_sums[m] -= static_cast<std::int32_t>(depth) * row_zero[m];
    }
    const cpu::Scaling scaling{one_row_scale ? nullptr : row_scale, column_scale, has_row_zero ? row_zero : nullptr, column_sums,
                               has_column_zero ? column_zero : nullptr, row_sums};

    const MatmulArguments<A, B, Out, E, Extra...> arguments{a.a, a.b, a.epilogue, a.extra, a.out};
    Product::matmul(arguments, extras, [&](auto& plan, const Block* block) {
      if (has_row_zero) cpu::column_sums(a.b, block, right_shift, column_sums);
      plan.gemm.scaling = &scaling;
      plan.gemm.left_flip = left_shift != 0 ? 0x80 : 0;
      const auto use = [&]<class Leaf>(Leaf) {
        plan.gemm.kernel = &Gemm<Compiled, Leaf>::kernel();
        if constexpr (right_shift == 0) plan.pack(block);
        else plan.block = &QuantizedPanels<Compiled>::template unsigned_block<Leaf>;
      };
#if COTENANT_X86_DOT
      if (Dots<Compiled>::has_u8_i8()) return use(IntegerLeaf<true>{});
#endif
      use(IntegerLeaf<false>{});
    });
  }

  template <class A, class B, class Out, class E, class... Extra, std::size_t... I>
  static void weight_only(const QuantizedMatmulArguments<A, B, Out, E, Extra...>& a, std::index_sequence<I...> extras) {
    const cpu::QuantizedWeights weights = QuantizedPanels<Compiled>::weights(a);
    // The product only asks for the strides of the right operand; 4-bit pairs have none that it could use.
    using Byte = std::conditional_t<std::is_same_v<B, i4x2>, std::uint8_t, B>;
    const Operand<const Byte> bytes{View<const Byte>::unchecked(reinterpret_cast<const Byte*>(a.b.view.data()), a.b.view.layout()), a.b.block};
    const MatmulArguments<A, Byte, Out, E, Extra...> arguments{a.a, bytes, a.epilogue, a.extra, a.out};
    Product::matmul(arguments, extras, [&](auto& plan, const Block*) {
      plan.gemm.weights = &weights;
      plan.block = &QuantizedPanels<Compiled>::template dequantized_block<B>;
      if (QuantizedSkinny<Compiled>::template takes<B>(plan.gemm, weights)) plan.gemm.few_rows = &QuantizedSkinny<Compiled>::template block<B>;
    });
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
