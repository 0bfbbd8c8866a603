// Random cases of ops along axes: softmax, reductions, top_k, norms, rotary.
#include "backends.hpp"

#include <algorithm>

namespace cotenant::test {
namespace {

// Calls f(index, along) for each row along an axis: along(i) is the index of its i-th element.
template <class F> void for_each_row(const Shape& shape, std::size_t axis, F f) {
  Shape others = shape;
  others[axis] = 1;
  if (shape[axis] == 0) return;
  for_each_index(others, [&](const Index& index, std::size_t) {
    f(index, [&, index](std::size_t i) {
      Index at = index;
      at[axis] = i;
      return at;
    });
  });
}
// Where an element of a shape lies, row-major.
inline std::size_t position_of(const Index& index, const Shape& shape) {
  std::size_t position = 0;
  for (std::size_t axis = 0; axis < shape.rank(); ++axis) position = position * shape[axis] + index[axis];
  return position;
}
// A shape whose last axis may be a row of many blocks.
template <class Trial> Shape shape_of_rows(Trial& trial) {
  if (trial.draw.chance(0.01)) return {65536 + trial.draw.below(5000), 1 + trial.draw.below(4)};  // more than a dispatch has groups
  if (trial.draw.chance(0.1)) return {1 + trial.draw.below(3), 1 + trial.draw.below(20000)};
  if (trial.draw.chance(0.1)) return {1 + trial.draw.below(300), 1 + trial.draw.below(5), 1 + trial.draw.below(60)};
  return trial.shape(trial.rank(1));
}

struct RandomSoftmax {
  static constexpr const char* name = "softmax";
  using Elements = Types<Types<float, float>, Types<f16, f16>, Types<bf16, float>, Types<float, bf16>, Types<f16, float>, Types<bf16, bf16>>;
  template <class In, class Out, class Trial> static void run(Trial& trial) {
    const Shape shape = shape_of_rows(trial);
    const std::size_t axis = shape.rank() - 1 - trial.draw.below(shape.rank());
    const auto values = trial.draw.one_of(std::array{Values::uniform, Values::special});
    const bool logarithm = trial.draw.chance(0.5);
    trial.note(logarithm ? "log_softmax" : "softmax", " along ", axis);
    const auto check = [&](const auto& in, const auto& out) {
      if (logarithm) log_softmax_into(*out, *in, static_cast<std::ptrdiff_t>(axis));
      else softmax_into(*out, *in, static_cast<std::ptrdiff_t>(axis));
      std::vector<Real> want(element_count(shape));
      for_each_row(shape, axis, [&](const Index&, auto along) {
        Real largest(-boundless);
        Sum sum;
        const auto x = [&](std::size_t i) { return in.number(along(i), shape.rank()); };
        for (std::size_t i = 0; i < shape[axis]; ++i) largest = max(largest, x(i));
        for (std::size_t i = 0; i < shape[axis]; ++i) sum.add(exp(x(i) - largest));
        const Real whole = sum.result();
        for (std::size_t i = 0; i < shape[axis]; ++i)
          want[position_of(along(i), shape)] = logarithm ? (x(i) - largest) - log(whole) : exp(x(i) - largest) / whole;
      });
      out.expect(logarithm ? "log_softmax" : "softmax", [&](const Index& index) { return want[position_of(index, shape)]; });
    };
    if constexpr (std::is_same_v<In, Out>)
      if (trial.draw.chance(0.3)) {
        const auto both = trial.template output<In>(shape, values);
        return check(both, both);
      }
    check(trial.template input<In>(shape, values), trial.template output<Out>(shape));
  }
};

struct RandomReduce {
  static constexpr const char* name = "reduce";
  using Elements = Types<Types<float, float>, Types<f16, f16>, Types<bf16, float>, Types<float, bf16>, Types<std::int32_t, std::int32_t>,
                         Types<std::int8_t, std::int32_t>, Types<std::int8_t, std::int8_t>, Types<std::uint8_t, float>, Types<std::int64_t, std::int64_t>,
                         Types<bool, std::int32_t>, Types<bool, bool>, Types<std::int64_t, f16>, Types<float, std::uint8_t>>;
  template <class In, class Out, class Trial> static void run(Trial& trial) {
    trial.with_type(Types<reduction::Sum, reduction::Mean, reduction::Maximum, reduction::Minimum, reduction::AbsMaximum>{},
                    [&]<class Kind>(std::type_identity<Kind>) { check<Kind, In, Out>(trial); });
  }
  template <class Kind, class In, class Out, class Trial> static void check(Trial& trial) {
    const Shape shape = trial.draw.chance(0.1) ? Shape{1 + trial.draw.below(3), 1 + trial.draw.below(40000)} : trial.shape();
    ReduceOptions options{.axes = {}, .keep_dimensions = trial.draw.chance(0.5)};
    std::array<bool, max_rank> reduced{};
    for (std::size_t axis = 0; axis < shape.rank(); ++axis)
      if (trial.draw.chance(0.5)) {
        options.axes.append(static_cast<std::ptrdiff_t>(axis) - (trial.draw.chance(0.5) ? static_cast<std::ptrdiff_t>(shape.rank()) : 0));
        reduced[axis] = true;
      }
    if (options.axes.empty()) reduced.fill(true);
    Shape result, kept = shape;
    for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
      if (reduced[axis]) kept[axis] = 1;
      if (!reduced[axis] || options.keep_dimensions) result.append(kept[axis]);
    }
    trial.note(Kind::name, " over axes ", options.axes, options.keep_dimensions ? " kept" : "");
    const auto in = trial.template input<In>(shape, trial.draw.one_of(std::array{Values::uniform, Values::whole, Values::special}));
    const auto out = trial.template output<Out>(result);
    reduce_into<Kind>(*out, *in, options);

    constexpr bool is_real = FloatElement<In> || std::is_same_v<Kind, reduction::Mean>;
    using N = std::conditional_t<is_real, Real, Whole<std::conditional_t<std::is_same_v<In, std::int64_t>, std::int64_t, std::int32_t>>>;
    std::vector<N> want(element_count(kept), start<Kind, In, N>());
    std::vector<Sum> sums(want.size());
    std::size_t count = 1;
    for (std::size_t axis = 0; axis < shape.rank(); ++axis)
      if (reduced[axis]) count *= shape[axis];
    for_each_index(shape, [&](Index index, std::size_t) {
      N x = in.template number<N>(index, shape.rank());
      if constexpr (is_real && std::is_same_v<In, std::int64_t>) x = Real(static_cast<double>(in.at(index)), 0, 2);
      if constexpr (is_real && std::is_same_v<In, std::int32_t>) x = Real(static_cast<double>(in.at(index)), 0, 2);
      for (std::size_t axis = 0; axis < shape.rank(); ++axis)
        if (reduced[axis]) index[axis] = 0;
      const std::size_t at = position_of(index, kept);
      if constexpr (std::is_same_v<Kind, reduction::Maximum>) want[at] = max(want[at], x);
      else if constexpr (std::is_same_v<Kind, reduction::Minimum>) want[at] = min(want[at], x);
      else if constexpr (std::is_same_v<Kind, reduction::AbsMaximum>) want[at] = max(want[at], abs(x));
      else if constexpr (is_real) sums[at].add(x);
      else want[at] = want[at] + x;
    });
    if constexpr (is_real && (std::is_same_v<Kind, reduction::Sum> || std::is_same_v<Kind, reduction::Mean>))
      for (std::size_t i = 0; i < want.size(); ++i) want[i] = std::is_same_v<Kind, reduction::Sum> ? sums[i].result() : sums[i].result() / Real(count);
    out.expect(Kind::name, [&](const Index& index) {
      Index at{};
      std::size_t next = 0;
      for (std::size_t axis = 0; axis < shape.rank(); ++axis)
        if (!reduced[axis] || options.keep_dimensions) at[axis] = index[next++];
      return want[position_of(at, kept)];
    });
  }
  template <class Kind, class In, class N> static N start() {
    constexpr bool is_integer = !FloatElement<In>;
    if constexpr (std::is_same_v<Kind, reduction::Maximum>) {
      if constexpr (is_integer) return N(std::numeric_limits<In>::min());
      else return N(-boundless);
    } else if constexpr (std::is_same_v<Kind, reduction::Minimum>) {
      if constexpr (is_integer) return N(std::numeric_limits<In>::max());
      else return N(boundless);
    } else return N(0);
  }
};

struct RandomTopK {
  static constexpr const char* name = "top_k";
  using Elements = Types<float, f16, std::int32_t, std::uint8_t, std::int64_t, bf16, bool, std::int8_t>;
  template <class T, class Trial> static void run(Trial& trial) {
    Shape shape = shape_of_rows(trial);
    const std::size_t axis = shape.rank() - 1 - trial.draw.below(shape.rank());
    const std::size_t k = trial.draw.below(std::min<std::size_t>(shape[axis], trial.draw.chance(0.2) ? 600 : 9) + 1);
    const auto in = trial.template input<T>(shape, trial.draw.one_of(std::array{Values::whole, Values::uniform, Values::special}));
    trial.note(k, " along ", axis);
    const auto result = top_k(*in, k, static_cast<std::ptrdiff_t>(axis) - (trial.draw.chance(0.5) ? static_cast<std::ptrdiff_t>(shape.rank()) : 0));
    shape[axis] = k;
    if (!(result.values.shape() == shape && result.indices.shape() == shape)) throw Mismatch{"top_k has shape " + to_string(result.values.shape())};
    if (k == 0) return;
    const auto values = result.values.template copy_to<Heap>();
    const auto indices = result.indices.template copy_to<Heap>();
    std::vector<std::size_t> order(in.shape()[axis]);
    for_each_row(in.shape(), axis, [&](const Index&, auto along) {
      std::iota(order.begin(), order.end(), std::size_t{0});
      const auto is_nan = [](T x) { return convert<float>(x) != convert<float>(x); };
      std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) {
        const T x = in.at(along(i)), y = in.at(along(j));
        if constexpr (FloatElement<T>) return is_nan(x) ? !is_nan(y) : convert<float>(x) > convert<float>(y);
        else return x > y;
      });
      for (std::size_t j = 0; j < k; ++j) {
        const std::size_t at = position_of(along(j), shape);
        if (indices.view().data()[at] != static_cast<std::int32_t>(order[j]))
          throw Mismatch{"the element of rank " + std::to_string(j) + " is said to be at " + std::to_string(indices.view().data()[at]) + ", but is at " +
                         std::to_string(order[j])};
        if (!is_expected(values.view().data()[at], in.at(along(order[j])))) throw Mismatch{"a value of top_k is not the one at its index"};
      }
    });
  }
};

struct RandomNorm {
  static constexpr const char* name = "norm";
  using Elements = Types<Types<float, float, float, float>, Types<f16, f16, f16, f16>, Types<bf16, bf16, float, bf16>, Types<float, f16, bf16, f16>>;
  template <class In, class Residual, class P, class Out, class Trial> static void run(Trial& trial) {
    const Shape shape = shape_of_rows(trial);
    const std::size_t length = shape.back(), rank = shape.rank();
    const auto scale = trial.template input<P>({length}), bias = trial.template input<P>({length});
    const float epsilon = trial.draw.one_of(std::array{1e-3f, 1e-5f, 0.f});
    const bool centered = trial.draw.chance(0.5);
    const std::size_t form = trial.draw.below(3);  // of x, of x + residual, and that sum too
    // The result or the sum may take the place of an input, as in a decoder's stream.
    const std::size_t in_place = std::is_same_v<In, Out> && std::is_same_v<Residual, Out> ? trial.draw.below(4) : 0;
    trial.note(centered ? "layer_norm" : "rms_norm", ", form ", form, ", in place ", in_place);
    const auto x = trial.template output<In>(shape);
    const auto residual = trial.template output<Residual>(shape);
    auto out = trial.template output<Out>(shape);
    auto sum = trial.template output<Out>(shape);
    if constexpr (std::is_same_v<In, Out> && std::is_same_v<Residual, Out>) {
      if (in_place == 1) out = x;
      if (in_place == 2) out = residual, sum = x;
      if (in_place == 3) sum = residual;
    }
    if (form == 0 && in_place == 2) out = trial.template output<Out>(shape);
    if (centered) {
      if (form == 0) layer_norm_into(*out, *x, *scale, *bias, epsilon);
      else if (form == 1) layer_norm_into(*out, *x, *scale, *bias, epsilon, *residual);
      else layer_norm_into(*out, *x, *scale, *bias, epsilon, *residual, *sum);
    } else {
      if (form == 0) rms_norm_into(*out, *x, *scale, epsilon);
      else if (form == 1) rms_norm_into(*out, *x, *scale, epsilon, *residual);
      else rms_norm_into(*out, *x, *scale, epsilon, *residual, *sum);
    }
    const auto number = [&](const Index& at) {
      const Real value = x.number(at, rank);
      return form == 0 ? value : value + residual.number(at, rank);
    };
    if (form == 2) sum.expect("the sum", number);
    std::vector<Real> want(element_count(shape));
    for_each_row(shape, rank - 1, [&](const Index&, auto along) {
      Sum all, squares;
      for (std::size_t i = 0; i < length; ++i) all.add(number(along(i)));
      const Real mean = centered ? all.result() / Real(length) : Real(0);
      for (std::size_t i = 0; i < length; ++i) {
        const Real centre = number(along(i)) - mean;
        squares.add(centre * centre);
      }
      const Real factor = rsqrt(squares.result() / Real(length) + Real(epsilon));
      for (std::size_t i = 0; i < length; ++i) {
        const Index column{i};
        const Real normal = (number(along(i)) - mean) * factor * scale.number(column, 1);
        want[position_of(along(i), shape)] = centered ? normal + bias.number(column, 1) : normal;
      }
    });
    out.expect("norm", [&](const Index& index) { return want[position_of(index, shape)]; });
  }
};

struct RandomRotary {
  static constexpr const char* name = "rotary";
  using Elements = Types<Types<float, float, float>, Types<f16, float, f16>, Types<bf16, bf16, float>, Types<float, f16, bf16>>;
  template <class In, class Table, class Out, class Trial> static void run(Trial& trial) {
    Shape shape = trial.shape(trial.rank(1));
    const std::size_t half = trial.draw.below(shape.back() / 2 + 1), rank = shape.rank();
    Shape angles = shape;
    angles[rank - 1] = half;
    angles = trial.broadcastable_to(angles);
    if (angles.empty()) angles = Shape{half};
    angles[angles.rank() - 1] = half;
    const auto cosine = trial.template input<Table>(angles), sine = trial.template input<Table>(angles);
    const RotaryPairs pairs = trial.draw.chance(0.5) ? RotaryPairs::neighbours : RotaryPairs::halves;
    trial.note(pairs == RotaryPairs::halves ? "halves" : "neighbours");
    const auto check = [&](const auto& in, const auto& out) {
      rotary_into(*out, *in, *cosine, *sine, pairs);
      out.expect("rotary", [&](const Index& index) -> Real {
        const std::size_t column = index[rank - 1];
        if (column >= 2 * half) return in.number(index, rank);
        const bool is_second = pairs == RotaryPairs::halves ? column >= half : column % 2 == 1;
        const std::size_t pair = pairs == RotaryPairs::halves ? column % half : column / 2;
        Index first = index, second = index, angle = index;
        first[rank - 1] = pairs == RotaryPairs::halves ? pair : 2 * pair;
        second[rank - 1] = pairs == RotaryPairs::halves ? pair + half : 2 * pair + 1;
        angle[rank - 1] = pair;
        const Real x = in.number(first, rank), y = in.number(second, rank), c = cosine.number(angle, rank), s = sine.number(angle, rank);
        return is_second ? y * c + x * s : x * c - y * s;
      });
    };
    if constexpr (std::is_same_v<In, Out>)
      if (trial.draw.chance(0.3)) {
        const auto both = trial.template output<In>(shape);
        return check(both, both);
      }
    check(trial.template input<In>(shape), trial.template output<Out>(shape));
  }
};

TEST_CASE("random rows") { run_random<RandomSoftmax, RandomReduce, RandomTopK, RandomNorm, RandomRotary>(64); }

}  // namespace
}  // namespace cotenant::test
