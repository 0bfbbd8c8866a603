// attention: softmax(q · kᵀ) · v for each query, without the matrix of scores in memory.
#ifndef COTENANT_OPS_ATTENTION_HPP
#define COTENANT_OPS_ATTENTION_HPP
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>

#include "cotenant/ops/operand.hpp"

namespace cotenant {

struct AttentionOptions {
  // What the scores are multiplied by; 1 / sqrt(D) where nothing is said.
  std::optional<float> scale = std::nullopt;
  // Query i sees the keys j <= i + (N - M) only: the last query sees all, as with the keys of earlier calls kept.
  bool causal = false;
};

// score[…, i, j] = scale * sum over d of q[…, i, d] * k[…, j, d], plus mask[…, i, j] where the mask is of floats;
// out[…, i, d] = sum over j of softmax(score[…, i, :])[j] * v[…, j, d], over the keys j that query i may attend to.
// A key is out of the question where a bool mask is false, where the score is -inf, or by `causal`. A query with no key
// left gives zeros. Sums are taken in float, whatever the elements; where all of them are bf16, or all f16, a backend may round each
// weight to that type before it meets its value. All batch axes are broadcast already (stride 0).
template <class Q, class K, class V, class Mask, class Out> struct AttentionArguments {
  Operand<const Q> q;        // [..., M, D]
  Operand<const K> k;        // [..., N, D]
  Operand<const V> v;        // [..., N, Dv]
  Operand<const Mask> mask;  // [..., M, N]; block is null where there is none
  float scale = 1;
  bool causal = false;
  Operand<Out> out;  // [..., M, Dv]
};

namespace detail {
struct AttentionLayouts {
  Layout q, k, v, mask, out;
};

// [..., heads, rows, columns] as [..., heads / groups, groups, rows, columns]; one head for each group, or one for all,
// gets an axis of 1 instead.
inline Layout split_heads(Layout layout, std::size_t heads, std::size_t groups) {
  const std::size_t axis = layout.shape.rank() - 3;
  if (layout.shape[axis] != heads) return unsqueeze(layout, static_cast<std::ptrdiff_t>(axis + 1));
  const std::ptrdiff_t stride = layout.strides[axis];
  layout.shape[axis] = heads / groups;
  layout.strides[axis] = stride * static_cast<std::ptrdiff_t>(groups);
  layout.shape.insert(axis + 1, groups);
  layout.strides.insert(axis + 1, stride);
  return layout;
}

// How many heads of q share one of k and v. Errors: ShapeError.
inline std::size_t head_groups(const Shape& q, const Shape& k, const Shape& v) {
  std::size_t groups = 1;
  for (const Shape* other : {&k, &v}) {
    if (q.rank() < 3 || other->rank() < 3) continue;
    const std::size_t heads = q[q.rank() - 3], shared = (*other)[other->rank() - 3];
    if (shared == heads || shared <= 1 || heads <= 1) continue;
    if (heads % shared != 0 || (groups != 1 && groups != heads / shared))
      raise<ShapeError>(Text{"attention of ", heads,
                             " heads of queries needs heads of keys and values whose number divides it, the same for both, but k is ", k, " and v ", v});
    groups = heads / shared;
  }
  return groups;
}

// The shape of the result. Errors: ShapeError.
inline Shape attention_shape(const Shape& q, const Shape& k, const Shape& v) {
  const auto refuse = [&](const char* why) {
    raise<ShapeError>(Text{"attention of q ", q, ", k ", k, ", v ", v, ": ", why});
  };
  if (q.rank() < 2 || k.rank() < 2 || v.rank() < 2) refuse("each needs at least two dimensions, [rows, head size]");
  if (q.back() != k.back()) refuse("the last dimensions of q and k must be equal");
  if (k[k.rank() - 2] != v[v.rank() - 2]) refuse("k and v must have the same number of rows");
  const std::size_t groups = head_groups(q, k, v);
  const auto batch = [&](const Shape& shape) {
    Shape result = shape.part(0, shape.rank() - 2);
    if (groups > 1 && !result.empty() && result.back() > 1) result[result.rank() - 1] = q[q.rank() - 3];
    return result;
  };
  constexpr const char* what = "attention: leading axes";
  Shape result = broadcast(broadcast(batch(q), batch(k), what), batch(v), what);
  result.append(q[q.rank() - 2]);
  result.append(v.back());
  return result;
}

// All operands with the same batch axes. `result` is attention_shape() of q, k and v.
inline AttentionLayouts attention_layouts(AttentionLayouts given, const Shape& result, bool has_mask) {
  const std::size_t rows = given.q.shape[given.q.shape.rank() - 2], keys = given.k.shape[given.k.shape.rank() - 2];
  Shape batch = result.part(0, result.rank() - 2);
  const auto with_batch = [&](const Layout& layout) {
    Shape shape = batch;
    shape.append(layout.shape[layout.shape.rank() - 2]);
    shape.append(layout.shape.back());
    return broadcast_to(layout, shape);
  };
  if (has_mask) {
    Shape scores = batch;
    scores.append(rows);
    scores.append(keys);
    given.mask = broadcast_to(given.mask, scores, "attention: a mask of shape");
  }
  const std::size_t groups = head_groups(given.q.shape, given.k.shape, given.v.shape);
  if (groups > 1) {
    const std::size_t heads = batch.back();
    // One query for each head: the heads that share their keys are the rows of one product, where both keys and values are shared.
    const auto shared = [&](const Layout& layout) { return layout.shape.rank() < 3 || layout.shape[layout.shape.rank() - 3] != heads; };
    const bool merges = rows == 1 && shared(given.k) && shared(given.v);
    const auto split = [&](Layout& layout) {
      if (layout.shape.rank() >= 3) layout = split_heads(layout, heads, groups);
    };
    given.q = with_batch(given.q);
    split(given.q);
    split(given.out);
    if (has_mask) split(given.mask);
    split(given.k);
    split(given.v);
    batch = given.q.shape.part(0, given.q.shape.rank() - 2);
    if (merges) {
      const auto heads_as_rows = [&](Layout& layout) { layout = squeeze(layout, -2); };
      const auto without_groups = [&](Layout& layout) { if (layout.shape.rank() >= 3) layout = squeeze(layout, -3); };
      heads_as_rows(given.q);
      heads_as_rows(given.out);
      if (has_mask) heads_as_rows(given.mask);
      without_groups(given.k);
      without_groups(given.v);
      batch.erase(batch.rank() - 1);
    }
  }
  given.q = with_batch(given.q);
  given.k = with_batch(given.k);
  given.v = with_batch(given.v);
  return given;
}

// Runs attention; mask is an Operand of bool or a float type, its block null where there is none.
template <class Backend, Element Out, Storage S, TensorLike Q, TensorLike K, TensorLike V, class Mask>
void attend(const SharedTensor<Out, S>& out, const Q& q, const K& k, const V& v, const AttentionOptions& options, const Operand<const Mask>& mask) {
  static_assert(FloatElement<element_type_of<Q>> && FloatElement<element_type_of<K>> && FloatElement<element_type_of<V>> && FloatElement<Out>,
                "attention works on float, f16 or bf16 elements");
  static_assert(std::same_as<Mask, bool> || FloatElement<Mask>, "an attention mask is of bool (true: may attend) or of floats (added to the scores)");
  check_not_empty("attention", out, q, k, v);
  const Shape result = attention_shape(as_tensor(q).shape(), as_tensor(k).shape(), as_tensor(v).shape());
  check_output_shape("attention", result, out.shape());
  const bool has_mask = mask.block != nullptr;
  const AttentionLayouts layouts = attention_layouts(
      {input(q).view.layout(), input(k).view.layout(), input(v).view.layout(), mask.view.layout(), output(out).view.layout()}, result, has_mask);
  const auto depth = static_cast<float>(std::max<std::size_t>(as_tensor(q).shape(-1), 1));
  prepare<Backend>(input(q), input(k), input(v), mask);
  backend_at<Backend>(out).attention(AttentionArguments<element_type_of<Q>, element_type_of<K>, element_type_of<V>, Mask, Out>{
      input(q).with(layouts.q), input(k).with(layouts.k), input(v).with(layouts.v), mask.with(layouts.mask), options.scale.value_or(1.0f / std::sqrt(depth)),
      // A single query is the last one: it sees all keys.
      options.causal && as_tensor(q).shape(-2) != 1, output(out).with(layouts.out)});
}
}  // namespace detail

// Writes into out, of shape [..., H, M, Dv]. Shapes: q [..., H, M, D]; k [..., G, N, D]; v [..., G, N, Dv], where G is H, 1
// or divides H (query head h uses key head h / (H / G)); other leading axes broadcast, and all may be missing. Any strides:
// heads may be views of [batch, length, H * D] on either side. out may be exactly q, else it must not overlap an input.
// Values of keys that are out of the question must be finite. Errors: ShapeError, ReadOnly.
// A query without keys gives zeros, as PyTorch's scaled_dot_product_attention does; unlike there, a causal query counts from
// the last key. A mask of the least float instead of -inf leaves such a query a uniform row.
template <Element Out, Storage S, TensorLike Q, TensorLike K, TensorLike V, class Backend = common_backend<SharedTensor<Out, S>, Q, K, V>>
void attention_into(SharedTensor<Out, S> out, const Q& q, const K& k, const V& v, const AttentionOptions& options = {}) {
  detail::attend<Backend>(out, q, k, v, options, Operand<const bool>{});
}
// With a mask that broadcasts to [..., H, M, N]: bool (true: may attend) or floats that are added to the scores.
template <Element Out, Storage S, TensorLike Q, TensorLike K, TensorLike V, TensorLike Mask,
          class Backend = common_backend<SharedTensor<Out, S>, Q, K, V, Mask>>
void attention_into(SharedTensor<Out, S> out, const Q& q, const K& k, const V& v, const AttentionOptions& options, const Mask& mask) {
  check_not_empty("attention", mask);
  detail::attend<Backend>(out, q, k, v, options, input(mask));
}

// The same as a new row-major tensor. Result element: the one named (attention<float>(…)), else the operands' common one.
template <class Out = void, TensorLike Q, TensorLike K, TensorLike V, TensorLike... Mask>
  requires(sizeof...(Mask) <= 1)
auto attention(const Q& q, const K& k, const V& v, const AttentionOptions& options = {}, const Mask&... mask) {
  static_cast<void>(sizeof(common_backend<Q, K, V, Mask...>*));
  check_not_empty("attention", q, k, v, mask...);
  using Result = chosen_element<Out, common_element<element_type_of<Q>, element_type_of<K>, element_type_of<V>>>;
  auto out = empty_like<Result>(q, detail::attention_shape(as_tensor(q).shape(), as_tensor(k).shape(), as_tensor(v).shape()));
  attention_into(out, q, k, v, options, mask...);
  return out;
}

}  // namespace cotenant

#endif
