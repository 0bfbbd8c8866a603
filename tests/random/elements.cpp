// Random cases of ops that take element after element: copies, casts, recorded expressions, gather.
#include "backends.hpp"

namespace cotenant::test {
namespace {

struct RandomCopy {
  static constexpr const char* name = "copy";
  using Elements = Types<float, f16, std::int8_t, std::int64_t, bool, i4x2, bf16, std::uint8_t, std::int32_t>;
  template <class T, class Trial> static void run(Trial& trial) {
    const Shape shape = trial.shape();
    const auto in = trial.template input<T>(shape, Values::any);
    const auto same = [&](const Index& index) { return in.at(index); };
    const auto out = trial.template output<T>(shape, Values::any);
    copy_into(*out, *in);
    out.expect("copy_into", same);
    const SharedTensor<T> host = in->template copy_to<Heap>();
    const Sample<T, Heap> copied(host, host.layout(), Heap{});
    const auto dense = in->contiguous().template copy_to<Heap>();
    for_each_index(shape, [&](const Index& index, std::size_t position) {
      if (!is_expected(copied.at(index), same(index))) throw Mismatch{"copy_to: element " + std::to_string(position)};
      if (!is_expected(dense.view().data()[position], same(index))) throw Mismatch{"contiguous: element " + std::to_string(position)};
    });
    // From the host's strides to the device's.
    const auto again = trial.template output<T>(shape, Values::any);
    copy_into(*again, host);
    again.expect("copy_into from the host", same);
  }
};

struct RandomCast {
  static constexpr const char* name = "cast";
  using Elements = ScalarTypes;
  template <class From, class Trial> static void run(Trial& trial) {
    trial.with_type(ScalarTypes{}, [&]<class To>(std::type_identity<To>) {
      const Shape shape = trial.shape();
      const auto in = trial.template input<From>(shape, trial.draw.one_of(std::array{Values::uniform, Values::special, Values::any}));
      const auto out = trial.template output<To>(shape);
      map_into(*out, expr::Identity{}, *in);
      out.expect("cast", [&](const Index& index) { return converted<To>(in.at(index)); });
    });
  }
  // What cast() says, by other means than the library's.
  template <class To, class From> static To converted(From from) {
    if constexpr (std::is_same_v<To, From>) return from;
    else if constexpr (std::is_same_v<To, bool>) return static_cast<double>(as_number(from)) != 0;
    else if constexpr (FloatElement<To>) return To(as_float(from));
    else if constexpr (FloatElement<From>) {
      const double value = static_cast<double>(static_cast<float>(from));
      if (std::isnan(value)) return 0;
      if (value <= static_cast<double>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
      if (value >= static_cast<double>(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
      return static_cast<To>(value);
    } else return static_cast<To>(static_cast<std::uint64_t>(static_cast<std::int64_t>(from)));
  }
  template <class From> static auto as_number(From from) {
    if constexpr (FloatElement<From>) return static_cast<float>(from);
    else return from;
  }
  template <class From> static float as_float(From from) { return static_cast<float>(from); }
};

// Recorded expressions of float elements: the same lambda, recorded and computed.
struct RandomMap {
  static constexpr const char* name = "map";
  using Elements = Types<Types<float, float>, Types<float, bf16>, Types<f16, f16>, Types<bf16, std::int8_t>>;
  template <class T, class Out, class Trial> static void run(Trial& trial) {
    const Shape shape = trial.shape();
    const auto x = trial.template input<T>(trial.broadcastable_to(shape), trial.draw.one_of(std::array{Values::uniform, Values::special}));
    const auto out = trial.template output<Out>(shape);
    trial.with_one_of(
        [&](const auto& function) {
          map_into(*out, function, *x);
          out.expect("map", [&](const Index& index) { return Real(function(x.number(index, shape.rank()))); });
        },
        [](auto v) { return v * 2 + 1; }, [](auto v) { return exp(v); }, [](auto v) { return log(abs(v)); }, [](auto v) { return tanh(v); },
        [](auto v) { return erf(v); }, [](auto v) { return sigmoid(v); }, [](auto v) { return gelu(v); }, [](auto v) { return gelu_tanh(v); },
        [](auto v) { return silu(v); }, [](auto v) { return relu(v); }, [](auto v) { return sqrt(v) + rsqrt(v); },
        [](auto v) { return floor(v) + ceil(v) * 3; }, [](auto v) { return round(v); }, [](auto v) { return select(v > 0.5f, -v, reciprocal(v)); },
        [](auto v) { return clamp(v, -1, 1.5f) / 3; });
  }
};

// Several operands of different elements, each with its own broadcasting.
struct RandomMapMany {
  static constexpr const char* name = "map of several";
  using Elements = Types<Types<float, float, float, float>, Types<float, bf16, std::int32_t, f16>, Types<f16, std::int8_t, bool, float>,
                         Types<float, std::int64_t, std::uint8_t, bf16>>;
  template <class A, class B, class C, class Out, class Trial> static void run(Trial& trial) {
    const Shape shape = trial.shape();
    const auto values = trial.draw.one_of(std::array{Values::uniform, Values::whole, Values::special});
    const auto a = trial.template input<A>(trial.broadcastable_to(shape), values);
    const auto b = trial.template input<B>(trial.broadcastable_to(shape), values);
    const auto c = trial.template input<C>(trial.broadcastable_to(shape), values);
    const auto out = trial.template output<Out>(shape);
    trial.with_one_of(
        [&](const auto& function) {
          map_into(*out, function, *a, *b, *c);
          out.expect("map", [&](const Index& index) {
            return Real(function(a.number(index, shape.rank()), b.number(index, shape.rank()), c.number(index, shape.rank())));
          });
        },
        [](auto x, auto y, auto z) { return x * y + z; }, [](auto x, auto y, auto z) { return max(x, min(y, z)); },
        [](auto x, auto y, auto z) { return select(x < y, z, x - y); }, [](auto x, auto y, auto) { return pow(x, y); },
        [](auto x, auto y, auto z) { return (x == y) + (y != z) * 2 + (x <= z) * 4 + (y > z) * 8; }, [](auto x, auto, auto z) { return z / (abs(x) + 1); },
        [](auto, auto, auto) { return 2.5f; });
  }
};

// Ten operands, one of them the output itself.
struct RandomMapInPlace {
  static constexpr const char* name = "map in place";
  template <class Trial> static void run(Trial& trial) {
    const Shape shape = trial.shape();
    const auto operand = [&] { return trial.template input<float>(trial.broadcastable_to(shape), Values::whole); };
    const auto out = trial.template output<float>(shape, Values::whole);
    const auto a = operand(), b = operand(), c = operand(), d = operand(), e = operand(), f = operand(), g = operand(), h = operand(), i = operand();
    const auto function = [](auto p, auto q, auto r, auto s, auto t, auto u, auto v, auto w, auto x, auto y) {
      return p * q - r * s + t * u - v * w + max(x, y);
    };
    map_into(*out, function, *a, *b, *c, *d, *out, *e, *f, *g, *h, *i);
    const std::size_t rank = shape.rank();
    out.expect("map of ten", [&](const Index& at) {
      return Real(function(a.number(at, rank), b.number(at, rank), c.number(at, rank), d.number(at, rank), out.number(at, rank), e.number(at, rank),
                           f.number(at, rank), g.number(at, rank), h.number(at, rank), i.number(at, rank)));
    });
  }
};

struct RandomMapWhole {
  static constexpr const char* name = "map of integers";
  using Elements =
      Types<Types<std::int32_t, std::int32_t, std::int32_t>, Types<std::int64_t, std::int32_t, std::int64_t>, Types<std::int8_t, std::uint8_t, std::int8_t>,
            Types<std::uint8_t, bool, std::int32_t>, Types<std::int64_t, std::int64_t, std::uint8_t>, Types<std::int32_t, std::uint8_t, std::int8_t>>;
  template <class A, class B, class Out, class Trial> static void run(Trial& trial) {
    const Shape shape = trial.shape();
    const auto values = trial.draw.one_of(std::array{Values::uniform, Values::special});
    const auto a = trial.template input<A>(trial.broadcastable_to(shape), values);
    const auto b = trial.template input<B>(trial.broadcastable_to(shape), values);
    const auto out = trial.template output<Out>(shape);
    using N = Whole<compute_type<A, B, Out>>;
    trial.with_one_of(
        [&](const auto& function) {
          map_into(*out, function, *a, *b);
          out.expect("map",
                     [&](const Index& index) { return N(function(a.template number<N>(index, shape.rank()), b.template number<N>(index, shape.rank()))); });
        },
        [](auto x, auto y) { return x * y - 7; }, [](auto x, auto y) { return max(min(x, y), -x) + abs(y); },
        [](auto x, auto y) { return select(x < y, x, relu(y)); }, [](auto x, auto y) { return (x == y) + (x >= y) * 2 + (x != 0) * 4; });
  }
};

struct RandomGather {
  static constexpr const char* name = "gather";
  using Elements = Types<Types<float, std::int32_t, float>, Types<bf16, std::int64_t, float>, Types<float, std::int32_t, f16>,
                         Types<std::int8_t, std::int64_t, std::int8_t>, Types<std::int64_t, std::int32_t, std::int64_t>, Types<bool, std::int32_t, bool>,
                         Types<f16, std::int32_t, f16>, Types<float, std::int64_t, std::uint8_t>>;
  template <class T, class I, class Out, class Trial> static void run(Trial& trial) {
    Shape table_shape = trial.shape(1 + trial.draw.below(3), 5000);
    if (table_shape[0] == 0) table_shape[0] = 1;
    const auto rows = static_cast<std::int64_t>(table_shape[0]);
    const auto table = trial.template input<T>(table_shape, Values::special);
    const Shape at = trial.shape(trial.draw.below(4), 40);
    const auto indices = trial.template filled<I>(
        at, [&](std::mt19937& random) { return static_cast<I>(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(2 * rows)) - rows); });
    Shape shape = at;
    for (std::size_t axis = 1; axis < table_shape.rank(); ++axis) shape.append(table_shape[axis]);
    const auto out = trial.template output<Out>(shape);
    gather_into(*out, *table, *indices);
    out.expect("gather", [&](const Index& index) {
      const auto row = static_cast<std::int64_t>(indices.at(index));
      Index place{static_cast<std::size_t>(row < 0 ? row + rows : row)};
      for (std::size_t axis = 1; axis < table_shape.rank(); ++axis) place[axis] = index[at.rank() + axis - 1];
      return RandomCast::converted<Out>(table.at(place));
    });
  }
};

TEST_CASE("random copies, maps and gathers") {
  run_random<RandomCopy, RandomCast, RandomMap, RandomMapMany, RandomMapInPlace, RandomMapWhole, RandomGather>(64);
}

}  // namespace
}  // namespace cotenant::test
