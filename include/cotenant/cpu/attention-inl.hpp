// attention on one CPU target: blocks of keys against panels of queries, the softmax kept up block by block.
#if defined(COTENANT_CPU_ATTENTION_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_ATTENTION_INL_HPP
#undef COTENANT_CPU_ATTENTION_INL_HPP
#else
#define COTENANT_CPU_ATTENTION_INL_HPP
#endif
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

#include <hwy/highway.h>

#include "cotenant/cpu/attention_few-inl.hpp"
#include "cotenant/cpu/attention_panel-inl.hpp"
#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/pack-inl.hpp"
#include "cotenant/cpu/row-inl.hpp"
#include "cotenant/cpu/scratch.hpp"
#include "cotenant/cpu/threads.hpp"
#include "cotenant/ops/attention.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// Both products are computed transposed: the lanes of a vector are queries. Then keys and values are the operands whose
// single floats are broadcast, which are read where they lie; the scores of a block, [keys, queries], are already the panel
// that the second product reads; and maxima, sums and corrections of the softmax are element by element.
// A panel of queries is two vectors wide, or one where the rest fits in it.

template <std::int64_t Compiled> struct Attentions {
  template <class Q, class K, class V, class Mask, class Out> static void attention(const AttentionArguments<Q, K, V, Mask, Out>& arguments) {
    const View<Out>& out = arguments.out.view;
    if (out.size() == 0) return;
    const std::size_t rank = out.rank(), m = rank - 2, n = rank - 1;
    const auto source = [&](const auto& view) { return Rows<Compiled>::source(view.data(), view.stride(m), view.stride(n)); };
    const bool has_mask = arguments.mask.block != nullptr;
    AttentionPlan plan;
    plan.q = source(arguments.q.view);
    plan.k = source(arguments.k.view);
    plan.v = source(arguments.v.view);
    if (has_mask) plan.mask = source(arguments.mask.view);
    plan.out = Rows<Compiled>::sink(out.data(), out.stride(m), out.stride(n));
    plan.mask_hides = std::same_as<Mask, bool>;
    plan.scale = arguments.scale;
    plan.causal = arguments.causal;
    plan.queries = out.shape(m);
    plan.keys = arguments.k.shape()[m];
    plan.depth = arguments.k.shape()[n];
    plan.width = out.shape(n);
    const auto batch_strides = [&](const auto& view) { return view.strides().part(0, m); };
    const Strides none = Strides::filled(m, 0);
    const Strides strides[] = {batch_strides(out), batch_strides(arguments.q.view), batch_strides(arguments.k.view), batch_strides(arguments.v.view),
                               has_mask ? batch_strides(arguments.mask.view) : none};
    plan.batch = cpu::coalesce<5>(out.shape().part(0, m), {&strides[0], &strides[1], &strides[2], &strides[3], &strides[4]}, 0);
    if (FewQueries<Compiled>::takes(plan)) {
      plan.few_scores = &Skinny<Compiled>::template block<K>;
      plan.few_results = &Skinny<Compiled>::template block<V>;
      const double nanoseconds = static_cast<double>(plan.keys) * static_cast<double>(plan.depth + plan.width) / 8 + 100;
      cpu::parallel_for(plan.batch.outer_count(0), nanoseconds, &FewQueries<Compiled>::run, &plan);
      return;
    }
    run_parallel(plan);
  }

 private:
  // Keys of one block: their scores against a panel are 128 * 32 * 4 = 16 KiB, a third of the L1 cache, and a panel's
  // results, which each block loads and stores once, cost less than two hundredths of its products.
  static constexpr std::size_t block_keys = 128;
  // Panels that share keys and values which had to be converted: the conversion costs less than a twentieth then.
  static constexpr std::size_t most_panels = 8;

  static std::size_t panel_width() { return 2 * hn::Lanes(FloatTag{}); }

  static void run_parallel(AttentionPlan& plan) {
    const std::size_t batches = plan.batch.outer_count(0), panels = (plan.queries - 1) / panel_width() + 1;
    // Nanoseconds of a panel: about 16 multiply-adds in each, both products.
    const double seen = static_cast<double>(plan.keys) * (plan.causal ? 0.5 : 1.0);
    const double nanoseconds = seen * static_cast<double>((plan.depth + plan.width) * panel_width()) / 16 + 100;
    plan.task_panels = std::min(panels, most_panels);
    const double all = nanoseconds * static_cast<double>(panels) * static_cast<double>(batches);
    if (all > 2 * cpu::minimum_nanoseconds_per_task) {
      // Four tasks for each thread, so that the last one does not keep the others waiting.
      const std::size_t wanted = 4 * cpu::thread_count();
      while (plan.task_panels > 1 && wanted > 4 && batches * ((panels - 1) / plan.task_panels + 1) < wanted) plan.task_panels = (plan.task_panels + 1) / 2;
    }
    plan.tasks = (panels - 1) / plan.task_panels + 1;
    cpu::parallel_for(batches * plan.tasks, nanoseconds * static_cast<double>(plan.task_panels), &run, &plan);
  }

  // A panel of queries: everything is [rows, lanes], `width` lanes.
  struct Panel {
    std::size_t first = 0, count = 0;  // queries
    std::size_t lanes = 0;             // panel_width() or half of it
    float* queries = nullptr;          // [depth, lanes], scaled
    float* sums = nullptr;             // [width, lanes]: sum of weight * value
    float* largest = nullptr;          // [lanes]: of the scores until now
    float* total = nullptr;            // [lanes]: sum of the weights
    float* factor = nullptr;           // [lanes]: what the last block made of earlier sums
    bool started = false;              // sums hold something
  };
  // Where a block of keys or values is read as floats.
  struct Block {
    const float* data = nullptr;
    std::ptrdiff_t step = 0;  // from row to row
  };

  static void run(const void* context, std::size_t begin, std::size_t end) {
    const AttentionPlan& plan = *static_cast<const AttentionPlan*>(context);
    const std::size_t width = panel_width(), of_panel = (plan.depth + plan.width + 3) * width;
    const bool stage_k = !in_place(plan.k), stage_v = !in_place(plan.v), has_mask = plan.mask.data != nullptr;
    // Rows that are staged begin at whole cache lines.
    const auto round_up = [](std::size_t floats) { return (floats + 15) / 16 * 16; };
    const std::size_t of_block = block_keys * (width + (has_mask ? width : 0) + (stage_k ? round_up(plan.depth) : 0) + (stage_v ? round_up(plan.width) : 0));
    const std::size_t row_floats = round_up(plan.width) * width;
    float* memory = cpu::scratch(cpu::ScratchUse::accumulators, of_panel * plan.task_panels + of_block + row_floats);
    const auto take = [&](std::size_t floats) { return std::exchange(memory, memory + floats); };
    Panel panels[most_panels];
    for (std::size_t i = 0; i < plan.task_panels; ++i) {
      panels[i].queries = take(plan.depth * width);
      panels[i].sums = take(plan.width * width);
      panels[i].largest = take(width);
      panels[i].total = take(width);
      panels[i].factor = take(width);
    }
    float* const scores = take(block_keys * width);
    float* const mask = has_mask ? take(block_keys * width) : nullptr;
    float* const staged_k = stage_k ? take(block_keys * round_up(plan.depth)) : nullptr;
    float* const staged_v = stage_v ? take(block_keys * round_up(plan.width)) : nullptr;
    float* const row = take(row_floats);

    for (std::size_t task = begin; task < end; ++task) {
      const cpu::Odometer<5> at(plan.batch, 0, task / plan.tasks);
      const std::size_t first_query = task % plan.tasks * plan.task_panels * width;
      const std::size_t last_query = std::min(plan.queries, first_query + plan.task_panels * width);
      std::size_t count = 0;
      for (std::size_t query = first_query; query < last_query; query += width) begin_panel(plan, at, query, panels[count++]);
      const std::size_t seen = plan.keys_seen(last_query - 1);
      for (std::size_t key = 0; key < seen; key += block_keys) {
        const std::size_t keys = std::min(block_keys, seen - key);
        const Block k = block_of(plan.k.moved(at.offset(2)), key, keys, plan.depth, staged_k, round_up(plan.depth));
        const Block v = block_of(plan.v.moved(at.offset(3)), key, keys, plan.width, staged_v, round_up(plan.width));
        for (std::size_t i = 0; i < count; ++i) {
          const std::size_t visible = plan.keys_seen(panels[i].first + panels[i].count - 1);
          if (visible <= key) continue;
          const std::size_t some = std::min(keys, visible - key);
          cpu::Source bias = plan.mask;
          if (has_mask)
            bias = bias.moved(at.offset(4) + static_cast<std::ptrdiff_t>(panels[i].first) * bias.row_stride +
                              static_cast<std::ptrdiff_t>(key) * bias.column_stride);
          panels[i].lanes == width ? add_block<true>(plan, panels[i], k, v, key, some, bias, scores, mask)
                                   : add_block<false>(plan, panels[i], k, v, key, some, bias, scores, mask);
        }
      }
      for (std::size_t i = 0; i < count; ++i) end_panel(plan, at, panels[i], row, round_up(plan.width));
    }
  }

  static bool in_place(const cpu::Source& rows) { return rows.is_float && rows.column_stride == 1; }
  static Block block_of(const cpu::Source& from, std::size_t first, std::size_t rows, std::size_t columns, float* staged, std::size_t step) {
    const cpu::Source block = from.moved(static_cast<std::ptrdiff_t>(first) * from.row_stride);
    if (staged == nullptr) return {reinterpret_cast<const float*>(block.data), block.row_stride};
    Packing<Compiled>::copy(block, rows, columns, staged, step);
    return {staged, static_cast<std::ptrdiff_t>(step)};
  }

  static void begin_panel(const AttentionPlan& plan, const cpu::Odometer<5>& at, std::size_t first, Panel& panel) {
    const FloatTag d;
    const std::size_t vector = hn::Lanes(d), width = panel_width();
    panel.first = first;
    panel.count = std::min(width, plan.queries - first);
    panel.lanes = panel.count <= vector ? vector : width;
    cpu::Source q = plan.q.moved(at.offset(1) + static_cast<std::ptrdiff_t>(first) * plan.q.row_stride);
    std::swap(q.row_stride, q.column_stride);
    const std::size_t floats = plan.depth * panel.lanes;
    // Lanes without a query compute on zeros.
    if (panel.count < panel.lanes) std::fill_n(panel.queries, floats, 0.0f);
    Packing<Compiled>::copy(q, plan.depth, panel.count, panel.queries, panel.lanes);
    const auto scale = hn::Set(d, plan.scale * log2_e);
    for (std::size_t i = 0; i < floats; i += vector) hn::Store(hn::Mul(hn::Load(d, panel.queries + i), scale), d, panel.queries + i);
    std::fill_n(panel.largest, panel.lanes, hidden_score);
    std::fill_n(panel.total, panel.lanes, 0.0f);
    panel.started = false;
  }

  // The keys [key, key + keys) join the softmax of a panel's queries.
  template <bool Two> static void add_block(const AttentionPlan& plan, Panel& panel, const Block& k, const Block& v, std::size_t key,
                                            std::size_t keys, const cpu::Source& mask, float* scores, float* staged_mask) {
    PanelProducts<Compiled>::template product<Two>(keys, k.data, k.step, 1, panel.queries, plan.depth, scores, false);
    if (mask.data != nullptr) add_mask<Two>(plan, panel, keys, mask, scores, staged_mask);
    if (plan.causal && plan.keys_seen(panel.first) < key + keys) hide_later_keys<Two>(plan, panel, key, keys, scores);
    if (add_weights<Two>(panel, keys, scores) && panel.started) rescale<Two>(panel, plan.width);
    PanelProducts<Compiled>::template product<Two>(plan.width, v.data, 1, v.step, scores, keys, panel.sums, panel.started);
    panel.started = true;
  }

  template <bool Two> static void add_mask(const AttentionPlan& plan, const Panel& panel, std::size_t keys, cpu::Source mask, float* scores, float* staged) {
    const FloatTag d;
    const std::size_t vector = hn::Lanes(d), lanes = (Two ? 2 : 1) * vector;
    const bool same_for_all = mask.row_stride == 0 || panel.count == 1;
    if (same_for_all) mask.load(mask.data, mask.column_stride, keys, staged);
    else {
      std::swap(mask.row_stride, mask.column_stride);
      Packing<Compiled>::copy(mask, keys, panel.count, staged, lanes);
      for (std::size_t key = 0; key < keys; ++key) std::fill(staged + key * lanes + panel.count, staged + (key + 1) * lanes, 0.0f);
    }
    for (std::size_t key = 0; key < keys; ++key)
      for (std::size_t lane = 0; lane < lanes; lane += vector) {
        float* const at = scores + key * lanes + lane;
        const auto score = hn::Load(d, at), value = same_for_all ? hn::Set(d, staged[key]) : hn::Load(d, staged + key * lanes + lane);
        hn::Store(masked_score(d, score, value, plan.mask_hides), d, at);
      }
  }

  template <bool Two> static void hide_later_keys(const AttentionPlan& plan, const Panel& panel, std::size_t key, std::size_t keys, float* scores) {
    const std::size_t lanes = (Two ? 2 : 1) * hn::Lanes(FloatTag{});
    for (std::size_t lane = 0; lane < panel.count; ++lane) {
      const std::size_t seen = plan.keys_seen(panel.first + lane);
      for (std::size_t j = seen > key ? seen - key : 0; j < keys; ++j) scores[j * lanes + lane] = hidden_score;
    }
  }

  // Scores become weights 2^(score - largest), which are added to the totals. True where earlier sums must be rescaled.
  template <bool Two> static bool add_weights(const Panel& panel, std::size_t keys, float* scores) {
    const FloatTag d;
    const std::size_t vector = hn::Lanes(d), lanes = (Two ? 2 : 1) * vector, odd = keys % 2 * lanes;
    // The panel's second vector; of one vector only, the same again, which is not written.
    const std::size_t second = lanes - vector;
    const float* const end = scores + keys * lanes;
    const auto before0 = hn::Load(d, panel.largest), before1 = hn::Load(d, panel.largest + second);
    auto largest0 = before0, largest1 = before1, other0 = before0, other1 = before1;
    if (odd != 0) {
      other0 = hn::Max(before0, hn::Load(d, scores));
      other1 = hn::Max(before1, hn::Load(d, scores + second));
    }
    for (const float* at = scores + odd; at != end; at += 2 * lanes) {
      largest0 = hn::Max(largest0, hn::Load(d, at));
      other0 = hn::Max(other0, hn::Load(d, at + lanes));
      if constexpr (Two) {
        largest1 = hn::Max(largest1, hn::Load(d, at + vector));
        other1 = hn::Max(other1, hn::Load(d, at + lanes + vector));
      }
    }
    largest0 = hn::Max(largest0, other0);
    largest1 = Two ? hn::Max(largest1, other1) : largest0;
    // Where every key is hidden yet, the weights 2^(-inf - 0) are 0.
    const auto nothing = hn::Set(d, hidden_score);
    const auto shift0 = hn::IfThenElseZero(hn::Gt(largest0, nothing), largest0), shift1 = hn::IfThenElseZero(hn::Gt(largest1, nothing), largest1);
    const auto factor0 = exp2_of_negative(d, hn::Sub(before0, shift0)), factor1 = Two ? exp2_of_negative(d, hn::Sub(before1, shift1)) : factor0;
    auto total0 = hn::Mul(hn::Load(d, panel.total), factor0), total1 = hn::Mul(hn::Load(d, panel.total + second), factor1);
    for (float* at = scores; at != end; at += lanes) {
      const auto x = exp2_of_negative(d, hn::Sub(hn::Load(d, at), shift0));
      hn::Store(x, d, at);
      total0 = hn::Add(total0, x);
      if constexpr (Two) {
        const auto y = exp2_of_negative(d, hn::Sub(hn::Load(d, at + vector), shift1));
        hn::Store(y, d, at + vector);
        total1 = hn::Add(total1, y);
      }
    }
    const auto keep = [&](std::size_t lane, FloatVector largest, FloatVector factor, FloatVector total) {
      hn::Store(largest, d, panel.largest + lane);
      hn::Store(factor, d, panel.factor + lane);
      hn::Store(total, d, panel.total + lane);
    };
    keep(0, largest0, factor0, total0);
    if constexpr (Two) keep(second, largest1, factor1, total1);
    return !hn::AllTrue(d, hn::Eq(before0, largest0)) || !hn::AllTrue(d, hn::Eq(before1, largest1));
  }
  template <bool Two> static void rescale(const Panel& panel, std::size_t rows) {
    const FloatTag d;
    const std::size_t vector = hn::Lanes(d), lanes = (Two ? 2 : 1) * vector;
    const auto first = hn::Load(d, panel.factor), second = hn::Load(d, panel.factor + lanes - vector);
    for (float* at = panel.sums; at != panel.sums + rows * lanes; at += lanes) {
      hn::Store(hn::Mul(hn::Load(d, at), first), d, at);
      if constexpr (Two) hn::Store(hn::Mul(hn::Load(d, at + vector), second), d, at + vector);
    }
  }

  // sums / total, turned back into rows of the output; zeros for a query that saw no key.
  static void end_panel(const AttentionPlan& plan, const cpu::Odometer<5>& at, const Panel& panel, float* staged, std::size_t staged_step) {
    const FloatTag d;
    const std::size_t vector = hn::Lanes(d);
    for (std::size_t lane = 0; lane < panel.lanes; lane += vector) {
      const auto total = hn::Load(d, panel.total + lane);
      const auto inverse = hn::IfThenElse(hn::Eq(total, hn::Zero(d)), total, hn::Div(hn::Set(d, 1.0f), total));
      for (std::size_t i = 0; i < plan.width; ++i) {
        float* const sum = panel.sums + i * panel.lanes + lane;
        hn::Store(panel.started ? hn::Mul(hn::Load(d, sum), inverse) : hn::Zero(d), d, sum);
      }
    }
    const char* const sums = reinterpret_cast<const char*>(panel.sums);
    const auto step = static_cast<std::ptrdiff_t>(panel.lanes * sizeof(float));
    const cpu::Sink out = plan.out.moved(at.offset(0) + static_cast<std::ptrdiff_t>(panel.first) * plan.out.row_stride);
    if (out.is_float && out.column_stride == 1 && out.row_stride > 0) {
      Packing<Compiled>::transpose(sums, step, plan.width, panel.count, reinterpret_cast<float*>(out.data), static_cast<std::size_t>(out.row_stride));
      return;
    }
    Packing<Compiled>::transpose(sums, step, plan.width, panel.count, staged, staged_step);
    for (std::size_t i = 0; i < panel.count; ++i)
      out.store(staged + i * staged_step, out.at(static_cast<std::ptrdiff_t>(i) * out.row_stride), out.column_stride, plan.width);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
