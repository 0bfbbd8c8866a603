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
#include "cotenant/cpu/attention_weights-inl.hpp"
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
// Where the CPU multiplies pairs of bf16 and all operands and the result are of it, weights are rounded to bf16 for the second product;
// their total is not. Of 512 x 64 that is 1.75 times as fast.

// A block of keys and what is computed of it against one panel.
struct AttentionBlock {
  std::size_t first = 0, keys = 0;
  AttentionRows k, v;            // rows of keys; of v's columns
  cpu::Source mask;              // of the panel's queries and these keys; data is null where there is none, or it is in the terms
  const float* terms = nullptr;  // of each key, added to its scores
  float* scores = nullptr;       // [keys, lanes of the panel], and room for another lane of the leaf
  float* staged_mask = nullptr;  // [keys, lanes of the panel]
  float* spare = nullptr;        // [weighing_rows, lanes of the panel]
};

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
    if constexpr (COTENANT_X86_DOT && std::same_as<Q, bf16> && std::same_as<K, bf16> && std::same_as<V, bf16> && std::same_as<Out, bf16>)
      if (Dots<Compiled>::has_bf16()) return run_parallel(plan, &run<Bf16Leaf<true>>);
    run_parallel(plan, &run<FloatLeaf>);
  }

 private:
  // Keys of one block, whole tiles of 12: their scores against a panel are 192 * 32 * 4 = 24 KiB, half of the L1 cache, and a panel's results,
  // which each block loads and stores once, cost less than two hundredths of its products.
  static constexpr std::size_t block_keys = 192;
  // Panels that share keys and values which had to be converted: the conversion costs less than a twentieth then.
  static constexpr std::size_t most_panels = 8;

  static std::size_t panel_width() { return 2 * hn::Lanes(FloatTag{}); }

  static void run_parallel(AttentionPlan& plan, cpu::RangeTask run_tasks) {
    const std::size_t batches = plan.batch.outer_count(0), panels = (plan.queries - 1) / panel_width() + 1;
    // Nanoseconds of a panel: a core multiplies some four vectors in each, softmax and copies included.
    const double seen = static_cast<double>(plan.keys) * (plan.causal ? 0.5 : 1.0);
    const double vectors = static_cast<double>(std::min(plan.queries, panel_width())) / static_cast<double>(hn::Lanes(FloatTag{}));
    const double nanoseconds = seen * static_cast<double>(plan.depth + plan.width) * vectors / 4 + 100;
    plan.task_panels = std::min(panels, most_panels);
    const double all = nanoseconds * static_cast<double>(panels) * static_cast<double>(batches);
    if (all > 2 * cpu::minimum_nanoseconds_per_task) {
      // Four tasks for each thread, so that the last one does not keep the others waiting.
      const std::size_t wanted = 4 * cpu::thread_count();
      while (plan.task_panels > 1 && wanted > 4 && batches * ((panels - 1) / plan.task_panels + 1) < wanted) plan.task_panels = (plan.task_panels + 1) / 2;
    }
    plan.tasks = (panels - 1) / plan.task_panels + 1;
    cpu::parallel_for(batches * plan.tasks, nanoseconds * static_cast<double>(plan.task_panels), run_tasks, &plan);
  }

  template <class Leaf> static void run(const void* context, std::size_t begin, std::size_t end) {
    const AttentionPlan& plan = *static_cast<const AttentionPlan*>(context);
    // Rows of keys and values, in lanes of the leaf.
    const std::size_t depth = lanes_of<Leaf>(plan.depth), most_pairs = lanes_of<Leaf>(block_keys);
    const std::size_t width = panel_width(), of_panel = (depth + plan.width + 2) * width;
    const bool stage_k = !reads_in_place<Leaf>(plan.k, plan.depth), stage_v = Leaf::per_lane != 1 || !reads_in_place<Leaf>(plan.v, plan.width);
    const bool has_mask = plan.mask.data != nullptr;
    // Rows that are staged begin at whole cache lines.
    const auto round_up = [](std::size_t floats) { return (floats + 15) / 16 * 16; };
    const std::size_t k_step = round_up(depth), v_step = round_up(plan.width);
    const std::size_t of_scores = (block_keys + Leaf::per_lane) * width;
    const std::size_t of_block = of_scores + block_keys * (1 + (has_mask ? width : 0) + (stage_k ? k_step : 0)) + (stage_v ? most_pairs * v_step : 0);
    const std::size_t row_floats = std::max(v_step, weighing_rows) * width;
    float* memory = cpu::scratch(cpu::ScratchUse::accumulators, of_panel * plan.task_panels + of_block + row_floats);
    const auto take = [&](std::size_t floats) { return std::exchange(memory, memory + floats); };
    AttentionPanel panels[most_panels];
    for (std::size_t i = 0; i < plan.task_panels; ++i) {
      panels[i].queries = take(depth * width);
      panels[i].sums = take(plan.width * width);
      panels[i].shift = take(width);
      panels[i].total = take(width);
    }
    float* const scores = take(of_scores);
    float* const mask = has_mask ? take(block_keys * width) : nullptr;
    float* const staged_k = stage_k ? take(block_keys * k_step) : nullptr;
    float* const staged_v = stage_v ? take(most_pairs * v_step) : nullptr;
    float* const row = take(row_floats);
    float* const terms = take(block_keys);
    std::fill_n(terms, block_keys, 0.0f);
    // A mask that is added and the same for all queries joins the scores as they are made.
    const bool in_terms = has_mask && !plan.mask_hides && plan.mask.row_stride == 0;

    for (std::size_t task = begin; task < end; ++task) {
      const cpu::Odometer<5> at(plan.batch, 0, task / plan.tasks);
      const std::size_t first_query = task % plan.tasks * plan.task_panels * width;
      const std::size_t last_query = std::min(plan.queries, first_query + plan.task_panels * width);
      std::size_t count = 0;
      for (std::size_t query = first_query; query < last_query; query += width) begin_panel<Leaf>(plan, at, query, panels[count++]);
      const std::size_t seen = plan.keys_seen(last_query - 1);
      for (std::size_t key = 0; key < seen; key += block_keys) {
        AttentionBlock block{key, std::min(block_keys, seen - key), {}, {}, {}, terms, scores, mask, row};
        const cpu::Source k = rows_from(plan.k.moved(at.offset(2)), key), v = rows_from(plan.v.moved(at.offset(3)), key);
        if (stage_k) LanePacking<Compiled, Leaf::per_lane>::left(k, block.keys, plan.depth, 0, staged_k, k_step);
        if (stage_v) LanePacking<Compiled, Leaf::per_lane>::right(v, block.keys, plan.width, staged_v, v_step);
        block.k = stage_k ? lanes_at(staged_k, k_step, 1) : AttentionRows{k.data, bytes_of_row(k), sizeof(float)};
        block.v = stage_v ? lanes_at(staged_v, 1, v_step) : AttentionRows{v.data, sizeof(float), bytes_of_row(v)};
        cpu::Source bias = plan.mask;
        if (has_mask) bias = bias.moved(at.offset(4) + static_cast<std::ptrdiff_t>(key) * bias.column_stride);
        if (in_terms) load_terms(bias, block.keys, terms);
        for (std::size_t i = 0; i < count; ++i) {
          const std::size_t visible = plan.keys_seen(panels[i].first + panels[i].count - 1);
          if (visible <= key) continue;
          AttentionBlock some = block;
          some.keys = std::min(block.keys, visible - key);
          if (has_mask && !in_terms) some.mask = bias.moved(static_cast<std::ptrdiff_t>(panels[i].first) * bias.row_stride);
          panels[i].lanes == width ? add_block<Leaf, true>(plan, panels[i], some) : add_block<Leaf, false>(plan, panels[i], some);
        }
      }
      for (std::size_t i = 0; i < count; ++i) end_panel(plan, at, panels[i], row, v_step);
    }
  }

  template <class Leaf> static std::size_t lanes_of(std::size_t elements) { return (elements + Leaf::per_lane - 1) / Leaf::per_lane; }
  // Whether the lanes of rows of `columns` elements are what lies there.
  template <class Leaf> static bool reads_in_place(const cpu::Source& rows, std::size_t columns) {
    return rows.element_size * Leaf::per_lane == sizeof(float) && (rows.is_float || Leaf::per_lane != 1) && rows.column_stride == 1 &&
           columns % Leaf::per_lane == 0;
  }
  static cpu::Source rows_from(const cpu::Source& rows, std::size_t first) { return rows.moved(static_cast<std::ptrdiff_t>(first) * rows.row_stride); }
  static std::ptrdiff_t bytes_of_row(const cpu::Source& rows) { return rows.row_stride * static_cast<std::ptrdiff_t>(rows.element_size); }
  static AttentionRows lanes_at(const float* data, std::size_t row_step, std::size_t depth_step) {
    const auto bytes = [](std::size_t floats) { return static_cast<std::ptrdiff_t>(floats * sizeof(float)); };
    return {reinterpret_cast<const char*>(data), bytes(row_step), bytes(depth_step)};
  }
  static void load_terms(const cpu::Source& mask, std::size_t keys, float* terms) {
    const FloatTag d;
    mask.load(mask.data, mask.column_stride, keys, terms);
    for (std::size_t i = 0; i < keys; i += hn::Lanes(d)) hn::Store(masked_score(d, hn::Zero(d), hn::Load(d, terms + i), false), d, terms + i);
  }

  template <class Leaf> static void begin_panel(const AttentionPlan& plan, const cpu::Odometer<5>& at, std::size_t first, AttentionPanel& panel) {
    const std::size_t vector = hn::Lanes(FloatTag{}), width = panel_width();
    panel.first = first;
    panel.count = std::min(width, plan.queries - first);
    panel.lanes = panel.count <= vector ? vector : width;
    cpu::Source q = rows_from(plan.q.moved(at.offset(1)), first);
    std::swap(q.row_stride, q.column_stride);
    // Lanes without a query compute on zeros.
    LanePacking<Compiled, Leaf::per_lane>::right(q, plan.depth, panel.count, panel.queries, panel.lanes);
    std::fill_n(panel.shift, panel.lanes, hidden_score);
    std::fill_n(panel.total, panel.lanes, 0.0f);
    panel.started = false;
  }

  // A block of keys joins the softmax of a panel's queries.
  template <class Leaf, bool Two> static void add_block(const AttentionPlan& plan, AttentionPanel& panel, const AttentionBlock& block) {
    using Weights = AttentionWeights<Compiled, Leaf, Two>;
    using Products = PanelProducts<Compiled, Leaf>;
    const PanelFinish scaled{false, plan.scale * score_unit, block.terms};
    Products::template product<Two>(block.keys, block.k, panel.queries, lanes_of<Leaf>(plan.depth), block.scores, scaled);
    if (block.mask.data != nullptr) Weights::mask(plan, panel, block.keys, block.mask, block.scores, block.staged_mask);
    if (plan.causal && plan.keys_seen(panel.first) < block.first + block.keys) Weights::hide_later_keys(plan, panel, block.first, block.keys, block.scores);
    Weights::raise_shift(panel, block.keys, block.scores, plan.width);
    // Of fewer rows than the tile that weighs has, the first one is all of them, and what comes of it is not used.
    const bool narrow = plan.width < weighing_rows;
    const std::size_t done = narrow ? 0 : weighing_rows;
    AttentionRows v = block.v;
    if (narrow) v.row_step = 0;
    Products::template weigh<Two>(v, block.scores, block.keys, panel.shift, panel.total, narrow ? block.spare : panel.sums, panel.started && !narrow);
    v = block.v;
    v.data += static_cast<std::ptrdiff_t>(done) * v.row_step;
    Products::template product<Two>(plan.width - done, v, block.scores, lanes_of<Leaf>(block.keys), panel.sums + done * panel.lanes, {panel.started});
    panel.started = true;
  }

  // sums / total, turned back into rows of the output; zeros for a query that saw no key.
  static void end_panel(const AttentionPlan& plan, const cpu::Odometer<5>& at, const AttentionPanel& panel, float* staged, std::size_t staged_step) {
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
