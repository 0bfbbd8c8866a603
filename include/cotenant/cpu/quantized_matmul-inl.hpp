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

  // How exact sums of u8 · i8 become numbers. Of signed values on the left and unsigned ones on the right 128 is added or
  // taken away, and so it is of their zero points; then
  //   sum of (a - za) (b - zb) = sum of a b - za[m] * (sum of b)[n] - zb[n] * ((sum of a)[m] - depth * za[m]).
  struct Scaling {
    const float *row_scale, *column_scale;                       // those of columns with room for whole vectors
    const std::int32_t *row_zero, *row_sums;                     // row_sums: less depth * row_zero
    const std::int32_t *column_zero, *column_sums;
  };
  // Which zero points there are decides the loop. Three vectors of columns at once, a panel's width: their scales stay in registers for all rows.
  template <bool RowZero, bool ColumnZero>
  static HWY_INLINE void scale_tile(const Scaling& s, const float* sums, std::ptrdiff_t stride, float* to, std::ptrdiff_t to_stride, std::size_t row,
                                    std::size_t column, std::size_t rows, std::size_t columns) {
    const FloatTag d;
    const hn::RebindToSigned<FloatTag> integer;
    const std::size_t lanes = hn::Lanes(d);
    const auto value = [&](const float* from, std::size_t r, std::size_t n, auto column_scale) {
      auto sum = hn::BitCast(integer, hn::LoadU(d, from + n));
      if constexpr (RowZero) sum = hn::Sub(sum, hn::Mul(hn::Set(integer, s.row_zero[r]), hn::LoadU(integer, s.column_sums + column + n)));
      if constexpr (ColumnZero) sum = hn::Sub(sum, hn::Mul(hn::LoadU(integer, s.column_zero + column + n), hn::Set(integer, s.row_sums[r])));
      return hn::Mul(hn::Mul(hn::ConvertTo(d, sum), column_scale), hn::Set(d, s.row_scale[r]));
    };
    const auto scale_at = [&](std::size_t n) { return hn::LoadU(d, s.column_scale + column + n); };
    const auto each_row = [&](std::size_t n, auto... column_scale) {
      const float* from = sums;
      float* target = to;
      for (std::size_t r = row; r < row + rows; ++r, from += stride, target += to_stride) {
        std::size_t at = n;
        ((hn::StoreU(value(from, r, at, column_scale), d, target + at), at += lanes), ...);
      }
    };
    std::size_t n = 0;
    for (; n + 3 * lanes <= columns; n += 3 * lanes) each_row(n, scale_at(n), scale_at(n + lanes), scale_at(n + 2 * lanes));
    for (; n + lanes <= columns; n += lanes) each_row(n, scale_at(n));
    if (n == columns) return;
    // The sums have room for whole vectors, the output has not.
    HWY_ALIGN float rest[HWY_MAX_BYTES / sizeof(float)];
    for (std::size_t r = row; r < row + rows; ++r, sums += stride, to += to_stride) {
      hn::Store(value(sums, r, n, scale_at(n)), d, rest);
      std::copy_n(rest, columns - n, to + n);
    }
  }
  // As GemmProblem::scale.
  template <bool RowZero, bool ColumnZero>
  static void scale(const void* scaling, float* sums, std::ptrdiff_t stride, std::size_t row, std::size_t column, std::size_t rows, std::size_t columns) {
    scale_tile<RowZero, ColumnZero>(*static_cast<const Scaling*>(scaling), sums, stride, sums, stride, row, column, rows, columns);
  }
  // A cpu::FinishTile for rows of floats that nothing else is done to: scaled on the way to their place.
  template <class Plan, bool RowZero, bool ColumnZero>
  static void scale_to_output(const void* context, std::size_t, const float* sums, std::ptrdiff_t stride, std::size_t row, std::size_t column, std::size_t rows,
                              std::size_t columns) {
    const Plan& plan = *static_cast<const Plan*>(context);
    const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(row) * plan.out.row_stride + static_cast<std::ptrdiff_t>(column);
    scale_tile<RowZero, ColumnZero>(*static_cast<const Scaling*>(plan.gemm.scaling), sums, stride, reinterpret_cast<float*>(plan.out.at(at)), plan.out.row_stride,
                                    row, column, rows, columns);
  }
  template <bool RowZero, bool ColumnZero, class Plan> static void set_scaling(Plan& plan, const Scaling& scaling) {
    plan.gemm.scaling = &scaling;
    if (plan.is_direct) plan.gemm.finish = &scale_to_output<Plan, RowZero, ColumnZero>;
    else plan.gemm.scale = &scale<RowZero, ColumnZero>;
    plan.is_direct = false;
  }

  template <class A, class B, class Out, class E, class... Extra, std::size_t... I>
  static void integers(const QuantizedMatmulArguments<A, B, Out, E, Extra...>& a, std::index_sequence<I...> extras) {
    constexpr std::int32_t left_shift = std::is_signed_v<A> ? 128 : 0, right_shift = std::is_signed_v<B> ? 0 : -128;
    const std::size_t rows = a.out.shape()[0], columns = a.out.shape()[1], depth = a.a.shape()[1];
    const std::size_t padded = columns + hn::Lanes(FloatTag{});
    const bool has_row_zero = left_shift != 0 || a.a_zero_point.block != nullptr, has_column_zero = right_shift != 0 || a.b_zero_point.block != nullptr;
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
      column_scale[n] = a.b_scale.view.data()[at * a.b_scale.view.stride(1)];
      if (has_column_zero) column_zero[n] = right_shift + (a.b_zero_point.block == nullptr ? 0
          : a.b_zero_point.view.data()[at * a.b_zero_point.view.stride(1)]);
    }
    for (float* array : {column_scale, column_scale + padded, column_scale + 2 * padded}) std::fill(array + columns, array + padded, 0.0f);
    if (has_column_zero) {
      cpu::sum_lines(a.a.view.data(), rows, a.a.view.stride(0), depth, a.a.view.stride(1), left_shift, row_sums);
      for (std::size_t m = 0; m < rows; ++m) row_sums[m] -= static_cast<std::int32_t>(depth) * row_zero[m];
    }
    const Scaling scaling{row_scale, column_scale, row_zero, row_sums, column_zero, column_sums};

    const MatmulArguments<A, B, Out, E, Extra...> arguments{a.a, a.b, a.epilogue, a.extra, a.out};
    Product::matmul(arguments, extras, [&](auto& plan, const Block* block) {
      if (has_row_zero) cpu::column_sums(a.b, block, right_shift, column_sums);
      if (has_column_zero) has_row_zero ? set_scaling<true, true>(plan, scaling) : set_scaling<false, true>(plan, scaling);
      else has_row_zero ? set_scaling<true, false>(plan, scaling) : set_scaling<false, false>(plan, scaling);
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
      plan.gemm.scaling = &weights;
      plan.block = &QuantizedPanels<Compiled>::template dequantized_block<B>;
      if (QuantizedSkinny<Compiled>::template takes<B>(plan.gemm, weights)) plan.gemm.few_rows = &QuantizedSkinny<Compiled>::template block<B>;
    });
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
