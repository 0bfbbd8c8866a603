// Random products: of every pair of float elements, of vectors, in batches, with epilogues; and attention.
#include "backends.hpp"

namespace cotenant::test {
namespace {

// Operands' shapes of a product.
struct ProductShapes {
  Shape a, b, out;
  std::size_t depth = 0;
};
template <class Trial> ProductShapes product_shapes(Trial& trial) {
  if (trial.draw.chance(0.01)) {  // more than a dispatch has groups
    const std::size_t many = 65536 + trial.draw.below(3000), m = 1 + trial.draw.below(3), k = 1 + trial.draw.below(3), n = 1 + trial.draw.below(3);
    if (trial.draw.chance(0.5)) return {{m, k}, {many, k, n}, {many, m, n}, k};
    return trial.draw.chance(0.5) ? ProductShapes{{many * 4, k}, {k, n}, {many * 4, n}, k} : ProductShapes{{m, k}, {k, many * 4}, {m, many * 4}, k};
  }
  ProductShapes shapes;
  // Around tiles, long depths, single rows and columns.
  const std::size_t k = trial.draw.chance(0.1) ? 300 + trial.draw.below(1200) : trial.extent(), most = 400000 / (k + 1);
  const std::size_t m = trial.draw.chance(0.15) ? 1 + trial.draw.below(9) : trial.extent(std::min<std::size_t>(300, most));
  const std::size_t n = trial.draw.chance(0.15) ? 1 + trial.draw.below(9) : trial.extent(std::min<std::size_t>(300, most / (m + 1)));
  const Shape batch = trial.draw.chance(0.4) ? trial.shape(1 + trial.draw.below(max_rank - 2), 2 + most / (m * n + 1)) : Shape{};
  const bool row = trial.draw.chance(0.05), column = trial.draw.chance(0.05);
  const auto side = [&](std::size_t first, std::size_t second) {
    Shape shape = trial.broadcastable_to(batch);
    shape.append(first);
    shape.append(second);
    return shape;
  };
  shapes.a = row ? Shape{k} : side(m, k);
  shapes.b = column ? Shape{k} : side(k, n);
  const auto batch_of = [](const Shape& shape) { return shape.part(0, shape.rank() < 2 ? 0 : shape.rank() - 2); };
  shapes.out = broadcast(batch_of(shapes.a), batch_of(shapes.b));
  if (!row) shapes.out.append(m);
  if (!column) shapes.out.append(n);
  shapes.depth = k;
  return shapes;
}
// The sum of products at an index of the result.
template <class A, class B> Real product_at(const A& a, const B& b, const Index& index, std::size_t rank, std::size_t depth) {
  const bool row = a.shape().rank() == 1, column = b.shape().rank() == 1;
  // The batch axes, then the row and the column.
  const std::size_t batch = rank - (row ? 0 : 1) - (column ? 0 : 1);
  Index left = index, right = index;
  if (!column) right[batch + 1] = index[rank - 1];
  Sum sum;
  for (std::size_t k = 0; k < depth; ++k) {
    if (row) left[0] = k;
    else left[batch + 1] = k;
    if (column) right[0] = k;
    else right[batch] = k;
    sum.add(a.number(left, row ? 1 : batch + 2) * b.number(right, column ? 1 : batch + 2));
  }
  return sum.result();
}

struct RandomMatmul {
  static constexpr const char* name = "matmul";
  using Elements =
      Types<Types<float, float, float>, Types<f16, f16, f16>, Types<bf16, bf16, bf16>, Types<float, f16, float>, Types<bf16, float, float>,
            Types<f16, bf16, f16>, Types<f16, f16, float>, Types<bf16, bf16, float>, Types<float, float, std::int8_t>, Types<f16, f16, std::uint8_t>>;
  template <class A, class B, class Out, class Trial> static void run(Trial& trial) {
    const ProductShapes shapes = product_shapes(trial);
    const auto values = trial.draw.one_of(std::array{Values::uniform, Values::whole});
    const auto a = trial.template input<A>(shapes.a, values);
    const auto b = trial.template input<B>(shapes.b, values);
    if (trial.draw.chance(0.3)) {  // kernels may keep what they make of it
      b->freeze();
      trial.note("frozen");
    }
    const auto out = trial.template output<Out>(shapes.out, values);
    const std::size_t rank = shapes.out.rank();
    const auto sum = [&](const Index& index) { return product_at(a, b, index, rank, shapes.depth); };
    const std::size_t epilogue = trial.draw.below(4);
    trial.note("epilogue ", epilogue);
    if (epilogue == 0) {
      matmul_into(*out, *a, *b);
      out.expect("matmul", sum);
    } else if (epilogue == 1) {
      const auto bias = trial.template input<float>(trial.broadcastable_to(shapes.out));
      const auto function = [](auto acc, auto x) { return gelu(acc * 0.125f + x); };
      matmul_into(*out, *a, *b, function, *bias);
      out.expect("bias + gelu", [&](const Index& index) { return function(sum(index), bias.number(index, rank)); });
    } else if (epilogue == 2) {
      const auto function = [](auto acc, auto old) { return acc * 0.5f + old * 2; };
      matmul_into(*out, *a, *b, function, *out);
      out.expect("accumulate", [&](const Index& index) { return function(sum(index), out.number(index, rank)); });
    } else {
      const auto x = trial.template input<A>(trial.broadcastable_to(shapes.out), values);
      const auto y = trial.template input<std::int8_t>(trial.broadcastable_to(shapes.out), values);
      const auto z = trial.template input<float>(trial.broadcastable_to(shapes.out), values);
      const auto function = [](auto acc, auto p, auto q, auto r) { return max(acc + p, 0.f) + q * r; };
      matmul_into(*out, *a, *b, function, *x, *y, *z);
      out.expect("epilogue of three",
                 [&](const Index& index) { return function(sum(index), x.number(index, rank), y.number(index, rank), z.number(index, rank)); });
    }
  }
};

// Several products of parts of one block that nobody writes any more: what kernels keep of a part is for that part alone.
struct RandomFrozen {
  static constexpr const char* name = "frozen weights";
  using Elements = Types<Types<float, float>, Types<bf16, bf16>, Types<f16, f16>, Types<float, bf16>>;
  template <class A, class B, class Trial> static void run(Trial& trial) {
    const Shape stored{8 + trial.draw.below(150), 8 + trial.draw.below(150)};
    const auto block = trial.template filled<B>(stored, [](std::mt19937& random) { return draw<B>(random, Values::whole); });
    block->freeze();
    const std::size_t times = 1 + trial.draw.below(5);
    for (std::size_t time = 0; time < times; ++time) {
      Layout layout = block.layout();
      // A box, every second row or column, either way round.
      for (std::ptrdiff_t axis = 0; axis < 2; ++axis) {
        const auto extent = static_cast<std::ptrdiff_t>(layout.shape[static_cast<std::size_t>(axis)]);
        const auto first = static_cast<std::ptrdiff_t>(trial.draw.chance(0.3) ? trial.draw.below(4) : 0);
        const auto fewer = static_cast<std::ptrdiff_t>(trial.draw.chance(0.3) ? trial.draw.below(4) : 0);
        if (trial.draw.chance(0.1)) layout = slice(layout, axis, extent - 1, -1, -1);
        layout = slice(layout, axis, first, extent - fewer, trial.draw.chance(0.1) ? 2 : 1);
      }
      if (trial.draw.chance(0.5)) layout = transpose(layout, 0, 1);
      const Sample<B, typename Trial::S> b = block.part(layout);
      const std::size_t m = trial.draw.chance(0.5) ? 1 + trial.draw.below(8) : trial.extent(130), k = b.shape()[0], n = b.shape()[1];
      trial.note("times ", b.shape(), " strides ", layout.strides, " offset ", layout.offset);
      const auto a = trial.template input<A>({m, k}, Values::whole);
      const auto out = trial.template output<float>({m, n});
      matmul_into(*out, *a, *b);
      out.expect("product of a part", [&](const Index& index) { return product_at(a, b, index, 2, k); });
    }
  }
};

struct RandomAttention {
  static constexpr const char* name = "attention";
  using Elements = Types<Types<float, float, float, float>, Types<f16, f16, f16, f16>, Types<bf16, bf16, bf16, bf16>, Types<float, f16, bf16, float>,
                         Types<f16, f16, f16, float>>;
  template <class Q, class K, class V, class Out, class Trial> static void run(Trial& trial) {
    const std::size_t groups = 1 + trial.draw.below(4), shared = 1 + trial.draw.below(3), heads = groups * shared;
    const std::size_t rows = trial.draw.chance(0.3) ? 1 : trial.extent(65), keys = trial.draw.chance(0.1) ? 1 + trial.draw.below(600) : trial.extent(150);
    const std::size_t depth = trial.extent(130), width = trial.draw.chance(0.5) ? depth : trial.extent(130);
    const Shape batch = trial.draw.chance(0.5) ? trial.shape(1 + trial.draw.below(2), 4) : Shape{};
    const bool has_heads = trial.draw.chance(0.8);
    const auto with = [&](Shape shape, std::size_t count, std::size_t first, std::size_t second) {
      if (has_heads) shape.append(count);
      shape.append(first);
      shape.append(second);
      return shape;
    };
    const auto own_batch = [&] {
      Shape shape = batch;
      for (std::size_t axis = 0; axis < shape.rank(); ++axis)
        if (trial.draw.chance(0.2)) shape[axis] = 1;
      while (!shape.empty() && trial.draw.chance(0.1)) shape.erase(0);
      return shape;
    };
    const Shape of_q = own_batch(), of_k = own_batch(), of_v = own_batch(), of_all = broadcast(broadcast(of_q, of_k), of_v);
    const auto k = trial.template input<K>(with(of_k, shared, keys, depth));
    const auto v = trial.template input<V>(with(of_v, trial.draw.chance(0.8) ? shared : heads, keys, width));
    const Shape result = with(of_all, heads, rows, width), scores = with(of_all, heads, rows, keys);
    AttentionOptions options{.scale = std::nullopt, .causal = trial.draw.chance(0.4)};
    if (trial.draw.chance(0.3)) options.scale = 0.3f;
    trial.note(options.causal ? "causal" : "all keys", options.scale ? ", scaled" : "");
    const std::size_t masked = trial.draw.below(3);
    const auto attend = [&](const auto& q, const auto& out) {
      if (masked == 0) {
        attention_into(*out, *q, *k, *v, options);
        check(q, k, v, out, options, scores, [](const Index&) { return Real(0); });
      } else if (masked == 1) {
        const auto mask = trial.template input<bool>(trial.broadcastable_to(scores));
        attention_into(*out, *q, *k, *v, options, *mask);
        check(q, k, v, out, options, scores, [&](const Index& index) { return Real(mask.at(index, scores.rank()) ? 0 : -boundless); });
      } else {
        const auto mask = trial.template filled<Q>(trial.broadcastable_to(scores), [](std::mt19937& random) {
          return random() % 4 == 0 ? convert<Q>(-std::numeric_limits<float>::infinity()) : draw<Q>(random, Values::uniform);
        });
        attention_into(*out, *q, *k, *v, options, *mask);
        check(q, k, v, out, options, scores, [&](const Index& index) { return mask.number(index, scores.rank()); });
      }
    };
    const Shape queries = with(of_q, heads, rows, depth);
    if constexpr (std::is_same_v<Q, Out>)
      if (queries == result && trial.draw.chance(0.3)) {
        const auto both = trial.template output<Q>(queries);
        return attend(both, both);
      }
    attend(trial.template input<Q>(queries), trial.template output<Out>(result));
  }
  template <class Q, class K, class V, class Out, class Mask>
  static void check(const Q& q, const K& k, const V& v, const Out& out, const AttentionOptions& options, const Shape& scores, Mask mask) {
    using T = typename Out::element;
    const std::size_t rank = scores.rank(), rows = scores[rank - 2], keys = scores[rank - 1], depth = q.shape().back(), width = out.shape().back();
    // Where every element is of the same 16 bits, a weight may be rounded to them.
    constexpr bool halves =
        sizeof(T) == 2 && std::is_same_v<T, typename Q::element> && std::is_same_v<T, typename K::element> && std::is_same_v<T, typename V::element>;
    constexpr double rounding = !halves ? 0 : std::is_same_v<T, f16> ? 0x1p-11 : 0x1p-8;
    const Real scale(options.scale.value_or(1 / std::sqrt(static_cast<float>(std::max<std::size_t>(depth, 1)))));
    // A head of keys or values for each head of queries, or for several.
    const auto of_head = [&](const auto& side, Index index) {
      if (rank > 2 && side.shape().rank() > 2) {
        const std::size_t heads = scores[rank - 3], own = side.shape(-3);
        if (own != heads && own > 1) index[rank - 3] = index[rank - 3] / (heads / own);
      }
      return index;
    };
    // The weights of one row serve all its columns.
    std::vector<Real> weights(keys);
    Real whole;
    Index weighed{};
    bool any = false, is_weighed = false;
    out.expect("attention", [&](Index index) -> Real {
      const std::size_t column = index[rank - 1], row = index[rank - 2];
      index[rank - 1] = 0;
      if (!is_weighed || weighed != index) {
        Real largest(-boundless);
        Index key = of_head(k, index);
        for (std::size_t j = 0; j < keys; ++j) {
          Index at = index;
          at[rank - 1] = j;
          Sum product;
          Index query = index;
          key[rank - 2] = j;
          for (std::size_t d = 0; d < depth; ++d) {
            query[rank - 1] = key[rank - 1] = d;
            product.add(q.number(query, rank) * k.number(key, rank));
          }
          weights[j] = product.result() * scale + mask(at);
          if (options.causal && rows != 1 && j + rows > row + keys) weights[j] = Real(-boundless);
          largest = max(largest, weights[j]);
        }
        any = largest.value != -boundless;
        Sum sum;
        for (Real& weight : weights) {
          weight = any ? exp(weight - largest) : Real(0);
          sum.add(weight);
        }
        whole = sum.result();
        weighed = index;
        is_weighed = true;
      }
      if (!any || width == 0) return Real(0);
      Sum sum;
      Index value = of_head(v, index);
      value[rank - 1] = column;
      for (std::size_t j = 0; j < keys; ++j) {
        value[rank - 2] = j;
        Real weight = weights[j];
        weight.error += weight.value * rounding + (halves ? 0x1p-25 : 0);
        sum.add(weight * v.number(value, rank));
      }
      return sum.result() / whole;
    });
  }
};

TEST_CASE("random products and attention") { run_random<RandomMatmul, RandomFrozen, RandomAttention>(64); }

}  // namespace
}  // namespace cotenant::test
