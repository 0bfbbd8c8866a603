// Panels of quantised weights for the blocked product: packed one by one, as floats or as bytes of another sign.
#if defined(COTENANT_CPU_QUANTIZED_PANEL_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_QUANTIZED_PANEL_INL_HPP
#undef COTENANT_CPU_QUANTIZED_PANEL_INL_HPP
#else
#define COTENANT_CPU_QUANTIZED_PANEL_INL_HPP
#endif
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <hwy/highway.h>

#include "cotenant/cpu/gemm-inl.hpp"
#include "cotenant/cpu/int4-inl.hpp"
#include "cotenant/cpu/quantize_row-inl.hpp"
#include "cotenant/cpu/quantized_weights.hpp"
#include "cotenant/cpu/scratch.hpp"
#include "cotenant/ops/quantized_matmul.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

template <std::int64_t Compiled> struct QuantizedPanels {
  // The right operand of a product of matrices.
  template <class Arguments> static cpu::QuantizedWeights weights(const Arguments& a) {
    cpu::QuantizedWeights w;
    w.values = a.b.view.data();
    w.depth_stride = a.b.view.stride(0);
    w.column_stride = a.b.view.stride(1);
    w.pairs_along_depth = a.pairs_along_k;
    w.scale = a.b_scale.view.data();
    w.scale_block_stride = a.b_scale.view.stride(0);
    w.scale_column_stride = a.b_scale.view.stride(1);
    if (a.b_zero_point.block != nullptr) {
      w.zero = a.b_zero_point.view.data();
      w.zero_block_stride = a.b_zero_point.view.stride(0);
      w.zero_column_stride = a.b_zero_point.view.stride(1);
    }
    const std::size_t blocks = a.b_scale.shape()[0], depth = a.a.shape()[1];
    w.block_size = blocks == 0 ? 1 : std::max<std::size_t>(1, depth / blocks);
    return w;
  }

  // Gemm::block for weights that are dequantised panel by panel.
  template <class B> static void dequantized_block(const cpu::GemmProblem& problem, std::size_t first_row, std::size_t last_row, std::size_t first_panel,
                                                   std::size_t last_panel) {
    by_panels<FloatLeaf>(problem, first_row, last_row, first_panel, last_panel,
                         [&](std::size_t first_lane, std::size_t lanes, std::size_t column, std::size_t columns, float* to, std::size_t width) {
                           const auto& w = *static_cast<const cpu::QuantizedWeights*>(problem.weights);
                           if (columns < width) std::fill(to, to + lanes * width, 0.0f);
                           dequantize<B>(w, first_lane, lanes, column, columns, to, width);
                         });
  }
  // The same for u8 weights, of which the integer leaf takes 128 less: as i8.
  template <class Leaf> static void unsigned_block(const cpu::GemmProblem& problem, std::size_t first_row, std::size_t last_row, std::size_t first_panel,
                                                   std::size_t last_panel) {
    by_panels<Leaf>(problem, first_row, last_row, first_panel, last_panel,
                    [&](std::size_t first_lane, std::size_t lanes, std::size_t column, std::size_t columns, float* to, std::size_t width) {
                      const std::size_t k = first_lane * Leaf::per_lane, depth = std::min(lanes * Leaf::per_lane, problem.depth - k);
                      LanePacking<Compiled, Leaf::per_lane>::right(
                          problem.right.moved(static_cast<std::ptrdiff_t>(k) * problem.right.row_stride +
                                              static_cast<std::ptrdiff_t>(column) * problem.right.column_stride),
                          depth, columns, to, width);
                      // Behind the last k stay zeros: the left operand's may be anything there.
                      for (std::size_t lane = 0; lane < lanes; ++lane) {
                        const std::size_t used = std::min<std::size_t>(Leaf::per_lane, depth - lane * Leaf::per_lane);
                        const std::uint32_t flip = used == 4 ? 0x80808080u : 0x80808080u & ((1u << (8 * used)) - 1);
                        flip_lane(to + lane * width, columns, flip);
                      }
                    });
  }

  // to[k * width + n] = (q[first + k, column + n] - zero) * scale for k < depth, n < columns.
  template <class B> static void dequantize(const cpu::QuantizedWeights& w, std::size_t first, std::size_t depth, std::size_t column, std::size_t columns,
      float* to,
                                            std::size_t width) {
    using Value = quantized_value<B>;
    constexpr std::size_t some_columns = 64, some_depth = 64;
    HWY_ALIGN Value buffer[some_columns + 64];
    // Along the depth where the values lie so: a block of columns becomes rows of floats, which are transposed.
    if (w.depth_stride == 1 && (w.pairs_along_depth || !std::is_same_v<B, i4x2>)) {
      HWY_ALIGN float lines[some_columns * some_depth];
      for (std::size_t k = 0; k < depth; k += some_depth) {
        const std::size_t count = std::min(some_depth, depth - k);
        for (std::size_t n = 0; n < columns; n += some_columns) {
          const std::size_t lanes = std::min(some_columns, columns - n);
          for (std::size_t i = 0; i < lanes; ++i)
            for (std::size_t done = 0; done < count;) {
              const std::size_t at = first + k + done, block = at / w.block_size, rest = std::min(count - done, w.block_size - at % w.block_size);
              const Value* q = along<B>(w, at, column + n + i, rest, buffer);
              QuantizeRows<Compiled>::dequantize(q, rest, w.scale_at(block, column + n + i), w.template zero_at<Value>(block, column + n + i),
                  lines + i * some_depth + done);
              done += rest;
            }
          Packing<Compiled>::transpose(reinterpret_cast<const char*>(lines), some_depth * sizeof(float), lanes, count, to + k * width + n, width);
        }
      }
      return;
    }
    HWY_ALIGN float scale[some_columns], zero[some_columns];
    for (std::size_t n = 0; n < columns; n += some_columns) {
      const std::size_t lanes = std::min(some_columns, columns - n);
      std::size_t held = ~std::size_t{0};
      for (std::size_t k = 0; k < depth; ++k) {
        const std::size_t block = (first + k) / w.block_size;
        if (block != held)
          for (std::size_t i = 0; i < lanes; ++i) {
            scale[i] = w.scale_at(block, column + n + i);
            zero[i] = w.template zero_at<Value>(block, column + n + i);
          }
        held = block;
        QuantizeRows<Compiled>::dequantize_each(across<B>(w, first + k, column + n, lanes, buffer), lanes, scale, zero, to + k * width + n);
      }
    }
  }

 private:
  // pack(first lane, lanes, first column, columns, to, width) fills a panel's block of k.
  template <class Leaf, class Pack> static void by_panels(const cpu::GemmProblem& problem, std::size_t first_row, std::size_t last_row, std::size_t first_panel,
                                                          std::size_t last_panel, const Pack& pack) {
    struct Moved {
      const cpu::GemmProblem* problem;
      std::size_t column;
    };
    const std::size_t lanes = hn::Lanes(FloatTag{});
    const cpu::GemmKernel& kernel = Gemm<Compiled, Leaf>::kernel();
    const cpu::Panels panels(problem.columns, kernel);
    const cpu::DepthBlocks blocks(problem.depth, Leaf::per_lane);
    float* const panel_memory = cpu::scratch(cpu::ScratchUse::packed_right, std::max<std::size_t>(blocks.lanes, 1) * kernel.tile_vectors * lanes);
    for (std::size_t panel = first_panel; panel < last_panel; ++panel) {
      const std::size_t column = panels.first_column(panel), width = panels.vectors(panel) * lanes, columns = std::min(width, problem.columns - column);
      for (std::size_t block = 0; block < blocks.count; ++block)
        pack(blocks.first(block), blocks.size(block), column, columns, panel_memory + blocks.first(block) * width, width);
      const Moved moved{&problem, column};
      const cpu::Scaling scaling = problem.scaling == nullptr ? cpu::Scaling{} : problem.scaling->moved(0, column);
      cpu::GemmProblem one = problem;
      one.columns = columns;
      one.packed_right = panel_memory;
      if (problem.scaling != nullptr) one.scaling = &scaling;
      if (one.direct != nullptr) one.direct += column;
      if (one.result != nullptr) one.result += static_cast<std::ptrdiff_t>(column) * one.result_column;
      one.context = &moved;
      one.finish = [](const void* context, std::size_t batch, const float* sums, std::ptrdiff_t stride, std::size_t row, std::size_t n, std::size_t rows,
          std::size_t some) {
        const Moved& to = *static_cast<const Moved*>(context);
        to.problem->finish(to.problem->context, batch, sums, stride, row, to.column + n, rows, some);
      };
      Gemm<Compiled, Leaf>::block(one, first_row, last_row, 0, 1);
    }
  }
  static void flip_lane(float* lane, std::size_t columns, std::uint32_t flip) {
    const FloatTag d;
    const hn::RebindToUnsigned<FloatTag> bits;
    std::size_t n = 0;
    for (; n + hn::Lanes(d) <= columns; n += hn::Lanes(d)) hn::StoreU(hn::BitCast(d, hn::Xor(hn::BitCast(bits, hn::LoadU(d, lane + n)), hn::Set(bits,
        flip))), d, lane + n);
    for (; n < columns; ++n) {
      std::uint32_t value;
      std::memcpy(&value, lane + n, sizeof value);
      value ^= flip;
      std::memcpy(lane + n, &value, sizeof value);
    }
  }

  static std::int8_t value_of_pair(const cpu::QuantizedWeights& w, std::size_t k, std::size_t n) {
    const bool along = w.pairs_along_depth;
    const i4x2 pair = static_cast<const i4x2*>(w.values)[static_cast<std::ptrdiff_t>(along ? k / 2 : k) * w.depth_stride +
                                                         static_cast<std::ptrdiff_t>(along ? n : n / 2) * w.column_stride];
    return static_cast<std::int8_t>((along ? k : n) % 2 == 0 ? pair.low() : pair.high());
  }
  // `count` values of one column from `k` on; at most 64.
  template <class B> static const quantized_value<B>* along(const cpu::QuantizedWeights& w, std::size_t k, std::size_t n, std::size_t count,
      quantized_value<B>* buffer) {
    if constexpr (!std::is_same_v<B, i4x2>)
      return static_cast<const B*>(w.values) + static_cast<std::ptrdiff_t>(k) + static_cast<std::ptrdiff_t>(n) * w.column_stride;
    else {
      // An odd beginning belongs to a pair.
      const auto* pairs = static_cast<const i4x2*>(w.values) + static_cast<std::ptrdiff_t>(k / 2) + static_cast<std::ptrdiff_t>(n) * w.column_stride;
      Int4Pairs<Compiled>::unpack(pairs, (count + k % 2 + 1) / 2, buffer);
      return buffer + k % 2;
    }
  }
  // `count` values of one row from column `n` on; at most 64.
  template <class B> static const quantized_value<B>* across(const cpu::QuantizedWeights& w, std::size_t k, std::size_t n, std::size_t count,
      quantized_value<B>* buffer) {
    if constexpr (std::is_same_v<B, i4x2>) {
      if (!w.pairs_along_depth && w.column_stride == 1) {
        const auto* pairs = static_cast<const i4x2*>(w.values) + static_cast<std::ptrdiff_t>(n / 2) + static_cast<std::ptrdiff_t>(k) * w.depth_stride;
        Int4Pairs<Compiled>::unpack(pairs, (count + n % 2 + 1) / 2, buffer);
        return buffer + n % 2;
      }
      for (std::size_t i = 0; i < count; ++i) buffer[i] = value_of_pair(w, k, n + i);
      return buffer;
    } else {
      const B* row = static_cast<const B*>(w.values) + static_cast<std::ptrdiff_t>(k) * w.depth_stride + static_cast<std::ptrdiff_t>(n) * w.column_stride;
      if (w.column_stride == 1) return row;
      for (std::size_t i = 0; i < count; ++i) buffer[i] = row[static_cast<std::ptrdiff_t>(i) * w.column_stride];
      return buffer;
    }
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
