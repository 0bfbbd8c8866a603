// Random cases of quantised values: by given and by found parameters, to numbers and back, and their products.
#include "backends.hpp"

#include <algorithm>
#include <optional>

namespace cotenant::test {
namespace {

// Shapes of parameters that divide values of this shape: one, each, or blocks along each axis. Pairs do not reach over the end of a block.
template <class Trial> Shape parameters_for(Trial& trial, const Shape& values, bool pairs) {
  Shape shape = values;
  for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
    const std::size_t extent = shape[axis], kind = trial.draw.below(3);
    std::size_t blocks = kind == 0 ? 1 : extent;
    if (kind == 2 && extent > 1) blocks = 1 + trial.draw.below(extent);
    while (blocks > 1 && (extent % blocks != 0 || (pairs && axis + 1 == shape.rank() && extent / blocks != 1 && extent / blocks % 2 != 0))) --blocks;
    shape[axis] = extent == 0 ? 1 : std::max<std::size_t>(blocks, 1);
  }
  while (!shape.empty() && trial.draw.chance(0.2)) shape.erase(0);
  return shape;
}
// The index into a parameter of values' index.
inline Index of_block(const Index& index, const Shape& values, const Shape& parameter) {
  Index at{};
  const std::size_t missing = values.rank() - parameter.rank();
  for (std::size_t axis = 0; axis < parameter.rank(); ++axis) {
    const std::size_t extent = values[axis + missing];
    at[axis] = extent == 0 ? 0 : index[axis + missing] / (extent / std::min(parameter[axis], extent));
  }
  return at;
}
// The value of an index, also where two lie in one element along `pair_axis`.
template <class Elements> int value_at(const Elements& elements, Index index, std::size_t pair_axis) {
  if constexpr (std::is_same_v<typename Elements::element, i4x2>) {
    const bool high = index[pair_axis] % 2 == 1;
    index[pair_axis] /= 2;
    const i4x2 pair = elements.at(index);
    return high ? pair.high() : pair.low();
  } else {
    return static_cast<int>(elements.at(index));
  }
}
// round(x / scale) + zero, in float.
inline int quantized_value_of(float x, float scale, int zero, int low, int high) {
  const float quotient = x / scale;
  const double q = std::isnan(quotient) ? zero : std::nearbyint(static_cast<double>(quotient)) + zero;
  return static_cast<int>(std::clamp<double>(q, low, high));
}
template <class Q> Shape elements_of(Shape values) {
  if (std::is_same_v<Q, i4x2>) values[values.rank() - 1] /= 2;
  return values;
}
// Values of a shape whose axes may be divided into blocks.
template <class Q, class Trial> Shape values_shape_of(Trial& trial) {
  if (trial.draw.chance(0.01)) return {65536 + trial.draw.below(3000), 2};  // more ranges than a dispatch has groups
  Shape shape = trial.draw.chance(0.1) ? Shape{1 + trial.draw.below(3), 1 + trial.draw.below(9000)} : trial.shape(1 + trial.draw.below(3));
  if (std::is_same_v<Q, i4x2>) shape[shape.rank() - 1] *= 2;
  return shape;
}
inline float positive(std::mt19937& random) { return 0.01f + static_cast<float>(random() % 1000) * 0x1p-12f; }

// The element at `index` of values by their index: of i4x2 a pair of neighbours along `axis`.
template <class Q, class Value> Q element_of(const Value& value, [[maybe_unused]] Index index, [[maybe_unused]] std::size_t axis) {
  if constexpr (std::is_same_v<Q, i4x2>) {
    index[axis] *= 2;
    Index next = index;
    ++next[axis];
    return i4x2(value(index), value(next));
  } else return static_cast<Q>(value(index));
}

struct RandomQuantize {
  static constexpr const char* name = "quantize";
  using Elements =
      Types<Types<float, std::int8_t>, Types<float, std::uint8_t>, Types<float, i4x2>, Types<f16, std::int8_t>, Types<bf16, std::uint8_t>, Types<bf16, i4x2>>;
  template <class T, class Q, class Trial> static void run(Trial& trial) {
    using Zero = quantized_value<Q>;
    const Shape shape = values_shape_of<Q>(trial), blocks = parameters_for(trial, shape, std::is_same_v<Q, i4x2>);
    const auto x = trial.template input<T>(shape, trial.draw.one_of(std::array{Values::uniform, Values::special}));
    const auto scale = trial.template filled<float>(blocks, positive);
    const auto zero = trial.template filled<Zero>(blocks, [](std::mt19937& random) {
      return static_cast<Zero>(std::is_same_v<Q, i4x2> ? static_cast<int>(random() % 16) - 8 : static_cast<int>(random()));
    });
    const auto out = trial.template output<Q>(elements_of<Q>(shape));
    const bool shifted = trial.draw.chance(0.5);
    int low = quantized_lowest<Q>, high = quantized_highest<Q>;
    if (trial.draw.chance(0.2)) low /= 2, high = high / 2 + 1;
    trial.note(shifted ? "with zero points" : "", " in ", low, " to ", high);
    if (shifted) quantize_into(*out, *x, *scale, *zero, low, high);
    else quantize_into(*out, *x, *scale, SharedTensor<Zero, typename Trial::S>{}, low, high);
    const auto value = [&](const Index& index) {
      const Index block = of_block(index, shape, blocks);
      return quantized_value_of(convert<float>(x.at(index)), scale.at(block), shifted ? static_cast<int>(zero.at(block)) : 0, low, high);
    };
    out.expect("quantize", [&](const Index& index) { return element_of<Q>(value, index, shape.rank() - 1); });
  }
};

struct RandomDequantize {
  static constexpr const char* name = "dequantize";
  using Elements = Types<std::int8_t, std::uint8_t, i4x2>;
  template <class Q, class Trial> static void run(Trial& trial) {
    trial.with_type(FloatTypes{}, [&]<class Out>(std::type_identity<Out>) {
      using Zero = quantized_value<Q>;
      const Shape shape = values_shape_of<Q>(trial), blocks = parameters_for(trial, shape, std::is_same_v<Q, i4x2>);
      const auto in = trial.template input<Q>(elements_of<Q>(shape), Values::any);
      const auto scale = trial.template input<float>(blocks);
      const auto zero = trial.template input<Zero>(blocks, Values::any);
      const auto out = trial.template output<Out>(shape);
      const bool shifted = trial.draw.chance(0.5);
      trial.note(shifted ? "with zero points" : "");
      if (shifted) dequantize_into(*out, *in, *scale, *zero);
      else dequantize_into(*out, *in, *scale);
      out.expect("dequantize", [&](const Index& index) {
        const Index block = of_block(index, shape, blocks);
        return Real(value_at(in, index, shape.rank() - 1) - (shifted ? static_cast<int>(zero.at(block)) : 0)) * scale.number(block, blocks.rank());
      });
    });
  }
};

struct RandomDynamicQuantize {
  static constexpr const char* name = "quantize by ranges";
  using Elements =
      Types<Types<float, std::int8_t>, Types<float, std::uint8_t>, Types<float, i4x2>, Types<f16, std::uint8_t>, Types<bf16, std::int8_t>, Types<f16, i4x2>>;
  template <class T, class Q, class Trial> static void run(Trial& trial) {
    constexpr bool affine = std::is_same_v<Q, std::uint8_t>;
    const Shape shape = values_shape_of<Q>(trial), blocks = parameters_for(trial, shape, std::is_same_v<Q, i4x2>);
    const auto x = trial.template input<T>(shape, trial.draw.one_of(std::array{Values::uniform, Values::whole, Values::special}));
    const auto values = trial.template output<Q>(elements_of<Q>(shape));
    const auto scale = trial.template output<float>(blocks);
    const auto zero = trial.template output<quantized_value<Q>>(blocks);
    Quantized<Q, typename Trial::S> out{*values, *scale, {}};
    if (affine) out.zero_point = *zero;
    quantize_into(out, *x);

    struct Range {
      float low = 0, high = 0, scale = 1;
      int zero = 0;
    };
    std::vector<Range> ranges(element_count(blocks));
    const auto range_of = [&](const Index& block) -> Range& {
      std::size_t position = 0;
      for (std::size_t axis = 0; axis < blocks.rank(); ++axis) position = position * blocks[axis] + block[axis];
      return ranges[position];
    };
    for_each_index(shape, [&](const Index& index, std::size_t) {
      Range& range = range_of(of_block(index, shape, blocks));
      const auto element = convert<float>(x.at(index));
      range.low = std::min(range.low, std::isnan(element) ? 0 : element);
      range.high = std::max(range.high, std::isnan(element) ? 0 : element);
    });
    for (Range& range : ranges) {
      const float extent = affine ? range.high - range.low : std::max(-range.low, range.high);
      if (extent > 0) range.scale = extent / (affine ? 255.f : static_cast<float>(quantized_highest<Q>));
      const float place = -range.low / range.scale;
      if (affine && !std::isnan(place)) range.zero = static_cast<int>(std::nearbyint(std::clamp(place, 0.f, 255.f)));
    }
    const auto value = [&](const Index& index) {
      const Range& range = range_of(of_block(index, shape, blocks));
      return quantized_value_of(convert<float>(x.at(index)), range.scale, range.zero, affine ? 0 : -quantized_highest<Q>, quantized_highest<Q>);
    };
    scale.expect("scale", [&](const Index& block) { return range_of(block).scale; });
    if (affine) zero.expect("zero point", [&](const Index& block) { return static_cast<quantized_value<Q>>(range_of(block).zero); });
    values.expect("values", [&](const Index& index) { return element_of<Q>(value, index, shape.rank() - 1); });
  }
};

struct RandomRequantize {
  static constexpr const char* name = "requantize";
  using Elements =
      Types<Types<std::int8_t, std::uint8_t>, Types<std::uint8_t, std::int8_t>, Types<std::int32_t, std::int8_t>, Types<std::int32_t, std::uint8_t>>;
  template <class In, class Q, class Trial> static void run(Trial& trial) {
    const Shape shape = values_shape_of<Q>(trial), from = parameters_for(trial, shape, false);
    // Blocks of both sets fit into each other.
    const Shape to = trial.draw.chance(0.5) ? from : Shape::filled(trial.draw.below(shape.rank() + 1), 1);
    const auto in = trial.template input<In>(shape, Values::any);
    const auto in_scale = trial.template filled<float>(from, positive), scale = trial.template filled<float>(to, positive);
    const auto in_zero = trial.template input<In>(from, Values::any);
    const auto zero = trial.template input<Q>(to, Values::any);
    const auto out = requantize<Q>(*in, *in_scale, *in_zero, *scale, *zero).template copy_to<Heap>();
    const Sample<Q, Heap> result(out, out.layout(), Heap{});
    result.expect("requantize", [&](const Index& index) {
      const Index a = of_block(index, shape, from), b = of_block(index, shape, to);
      // Integers of 32 bits are rounded to floats before or after they are subtracted.
      const Real difference(
          static_cast<double>(in.at(index)) - static_cast<double>(in_zero.at(a)),
          sizeof(In) < 4 ? 0 : std::abs(static_cast<double>(in.at(index))) * half_ulp + std::abs(static_cast<double>(in_zero.at(a))) * half_ulp,
          sizeof(In) < 4 ? 0 : 1);
      return clamp(round(difference * in_scale.number(a, from.rank()) / scale.number(b, to.rank())) + Real(static_cast<int>(zero.at(b))),
                   Real(quantized_lowest<Q>), Real(quantized_highest<Q>));
    });
  }
};

struct RandomQuantizedMatmul {
  static constexpr const char* name = "quantised matmul";
  using Elements =
      Types<Types<float, std::int8_t, float>, Types<float, i4x2, float>, Types<f16, std::int8_t, f16>, Types<bf16, i4x2, bf16>,
            Types<std::uint8_t, std::int8_t, float>, Types<std::int8_t, std::int8_t, std::int8_t>, Types<std::int8_t, std::uint8_t, bf16>,
            Types<std::uint8_t, std::uint8_t, float>, Types<std::int8_t, i4x2, float>, Types<bf16, std::uint8_t, float>, Types<f16, i4x2, std::int8_t>>;
  template <class A, class B, class Out, class Trial> static void run(Trial& trial) { check<A, B, Out>(trial); }

 private:
  // The number of blocks of k of a parameter.
  template <class Trial> static std::size_t blocks_of(Trial& trial, std::size_t k, bool pairs) {
    std::size_t blocks = trial.draw.chance(0.5) ? 1 : 1 + trial.draw.below(std::max<std::size_t>(k, 1));
    while (blocks > 1 && (k % blocks != 0 || (pairs && k / blocks % 2 != 0))) --blocks;
    return blocks;
  }
  template <class A, class B, class Out, class Trial> static void check(Trial& trial) {
    using S = typename Trial::S;
    constexpr bool packed = std::is_same_v<B, i4x2>, floats = FloatElement<A>;
    std::size_t k = trial.draw.chance(0.15) ? 200 + trial.draw.below(1000) : trial.extent(), n = trial.extent(200);
    const std::size_t m = trial.draw.chance(0.4) ? 1 + trial.draw.below(9) : trial.extent(std::min<std::size_t>(200, 2000000 / ((k + 1) * (n + 1))));
    if (packed) k = std::max<std::size_t>(k + k % 2, 2), n += n % 2;
    const bool turned = trial.draw.chance(0.6);  // stored [N, K]
    const Shape batch = trial.draw.chance(0.25) ? Shape{1 + trial.draw.below(3)} : Shape{};
    const auto with = [](Shape shape, std::size_t first, std::size_t second) {
      shape.append(first);
      shape.append(second);
      return shape;
    };
    const Shape left = with(batch, m, k), right_batch = trial.draw.chance(0.5) ? batch : Shape{};
    const Shape right = turned ? with(right_batch, n, k) : with(right_batch, k, n), result = with(batch, m, n);
    trial.note("m ", m, " k ", k, " n ", n);
    const auto a = trial.template input<A>(left, floats ? Values::uniform : Values::any);
    const auto b = trial.template input<B>(elements_of<B>(right), Values::any);
    // Parameters of the right side: one, one for each column, blocks of k.
    const std::size_t columns = trial.draw.chance(0.7) ? n : 1, blocks = blocks_of(trial, k, packed && turned);
    Shape right_parameters = turned ? Shape{columns, blocks} : Shape{blocks, columns};
    if (columns == 1 && blocks == 1 && trial.draw.chance(0.5)) right_parameters = trial.draw.chance(0.5) ? Shape{} : Shape{1};
    using ZeroB = quantized_value<B>;
    const auto b_scale = trial.template filled<float>(right_parameters, positive);
    const auto b_zero =
        trial.template filled<ZeroB>(right_parameters, [](std::mt19937& random) { return static_cast<ZeroB>(packed ? random() % 8 : random()); });
    const bool b_shifted = trial.draw.chance(0.5);
    Quantized<B, S> weights{*b, *b_scale, {}};
    if (b_shifted) weights.zero_point = *b_zero;
    if (trial.draw.chance(0.4)) {
      weights.freeze();
      trial.note("frozen");
    }
    if (turned) weights = weights.transpose();
    trial.note(turned ? "stored [N, K]" : "stored [K, N]", b_shifted ? " with zero points" : "");
    // And of the left one.
    Shape left_parameters{trial.draw.chance(0.5) ? m : 1, floats ? 1 : blocks_of(trial, k, false)};
    const auto a_scale = trial.template filled<float>(left_parameters, positive);
    using ZeroA = typename detail::ZeroPointElement<A>::type;
    const auto a_zero = trial.template input<ZeroA>(left_parameters, Values::any);
    const bool a_shifted = !floats && trial.draw.chance(0.5);

    const std::size_t rank = result.rank();
    const auto out = trial.template output<Out>(result, Values::whole);
    const auto parameter = [](const auto& of, std::size_t row, std::size_t rows, std::size_t place, std::size_t places) {
      Index index{};
      const Shape& shape = of.shape();
      if (shape.rank() == 2) index[0] = row * shape[0] / rows, index[1] = place * shape[1] / places;
      return index;
    };
    const auto sum = [&](const Index& at) {
      Sum all;
      Index in_a = at, in_b{};
      const std::size_t row = at[rank - 2], column = at[rank - 1], right_rank = right.rank();
      for (std::size_t i = 0; i < right_batch.rank(); ++i) in_b[i] = at[i];
      double largest = 0, weight = 0, apart = 0;
      for (std::size_t i = 0; i < k; ++i) {
        in_a[rank - 1] = i;
        in_b[right_rank - 2] = turned ? column : i;
        in_b[right_rank - 1] = turned ? i : column;
        const Index block = turned ? parameter(b_scale, column, n, i, k) : parameter(b_scale, i, k, column, n);
        const Real y =
            Real(value_at(b, in_b, right_rank - 1) - (b_shifted ? static_cast<int>(b_zero.at(block)) : 0)) * b_scale.number(block, right_parameters.rank());
        Real x;
        if constexpr (floats) {
          x = a.number(in_a, rank);
          largest = std::max(largest, std::abs(x.value));
          weight += std::abs(y.value);
          if (b_shifted) apart += std::abs(x.value) * 256 * static_cast<double>(b_scale.at(block));
        } else {
          const Index own = parameter(a_scale, row, m, i, k);
          x = Real(static_cast<int>(a.at(in_a)) - (a_shifted ? static_cast<int>(a_zero.at(own)) : 0)) * a_scale.number(own, 2);
        }
        all.add(x * y);
      }
      Real total = all.result();
      // Zero points may be taken off the sum at its end.
      if (floats) total.error += 4 * half_ulp * apart;
      // Floats beside pairs may be numbers of fixed point: see matmul_into.
      if (floats && packed) total.error += largest * weight * half_ulp;
      return total;
    };
    const auto run = [&](const auto& activations) {
      const std::size_t epilogue = trial.draw.below(3);
      trial.note("epilogue ", epilogue);
      if (epilogue == 0) {
        matmul_into(*out, activations, weights);
        out.expect("product", sum);
      } else if (epilogue == 1) {
        const auto bias = trial.template input<float>(trial.broadcastable_to(result));
        const auto function = [](auto acc, auto x) { return gelu(acc * 0.0625f + x); };
        matmul_into(*out, activations, weights, function, *bias);
        out.expect("bias + gelu", [&](const Index& index) { return function(sum(index), bias.number(index, rank)); });
      } else {
        const auto function = [](auto acc, auto old) { return round(acc * 0.25f) + old; };
        matmul_into(*out, activations, weights, function, *out);
        out.expect("accumulate", [&](const Index& index) { return function(sum(index), out.number(index, rank)); });
      }
    };
    if constexpr (floats) run(*a);
    else {
      Quantized<A, S> activations{*a, *a_scale, {}};
      if (a_shifted) activations.zero_point = *a_zero;
      trial.note(a_shifted ? "left with zero points" : "");
      run(activations);
    }
  }
};

TEST_CASE("random quantised values and products") {
  run_random<RandomQuantize, RandomDequantize, RandomDynamicQuantize, RandomRequantize, RandomQuantizedMatmul>(64);
}

}  // namespace
}  // namespace cotenant::test
