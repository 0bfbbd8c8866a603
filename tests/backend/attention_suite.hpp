// The suite's cases of attention: shapes, head groups, strides, masks and element types at random, against Reference.
#ifndef COTENANT_TESTS_BACKEND_ATTENTION_SUITE_HPP
#define COTENANT_TESTS_BACKEND_ATTENTION_SUITE_HPP
#include <limits>

#include "suite.hpp"

namespace cotenant::test {

// A backend may round each weight to the elements of the values, where the result has them too: by half a unit in the last place of values
// of up to 4.
template <class Fixture, class Out> Tolerance with_rounded_weights(Tolerance close) {
  if constexpr (requires { Fixture::rounds_weights(); })
    if (Fixture::rounds_weights() && sizeof(Out) == 2) close.absolute += 4 * (std::is_same_v<Out, f16> ? 0x1p-11 : 0x1p-8);
  return close;
}

TEST_CASE_TEMPLATE_DEFINE("attention", Fixture, backend_attention) {
  Suite<Fixture> suite(21);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const auto check = [&]<class Q, class K, class V, class Out>(std::type_identity<Q>, std::type_identity<K>, std::type_identity<V>, std::type_identity<Out>) {
    suite.repeat(16, [&] {
      const bool long_rows = suite.chance(0.2);  // more than one block of keys, more than one panel of queries
      const std::size_t rows = suite.chance(0.15) ? 1 : suite.extent() / (long_rows ? 1 : 3) + suite.below(2);
      const std::size_t keys = suite.extent() * (long_rows ? 3 : 1) / 2 + suite.below(3);
      const std::size_t depth = suite.extent() / 2 + suite.below(3), width = suite.chance(0.5) ? depth : suite.extent() / 2 + 1;
      const std::size_t groups = 1 + suite.below(3), shared = 1 + suite.below(2), heads = groups * shared;
      Shape q_shape{1 + suite.below(2), heads, rows, depth}, k_shape{1, shared, keys, depth}, v_shape{q_shape[0], shared, keys, width};
      if (suite.chance(0.3)) k_shape.erase(0);
      if (suite.chance(0.1)) k_shape.erase(0), v_shape[1] = heads;
      const auto q = suite.template tensor<Q>(q_shape);
      const auto k = suite.template tensor<K>(k_shape);
      const auto v = suite.template tensor<V>(v_shape);
      AttentionOptions options{.causal = suite.chance(0.4)};
      if (suite.chance(0.3)) options.scale = 0.3f;
      const Tolerance close{2e-5, 2e-5}, rounded = with_rounded_weights<Fixture, Out>(close);
      auto out = suite.template tensor<Out>({q_shape[0], heads, rows, width});
      attention_into(out.expected, q.expected, k.expected, v.expected, options);
      attention_into(out.actual, q.actual, k.actual, v.actual, options);
      suite.compare("attention", out.expected, out.actual, rounded);
      const Shape scores{q_shape[0], heads, rows, keys};
      const auto hides = suite.template tensor<bool>(suite.broadcastable_to(scores));
      suite.compare("attention, bool mask", attention<Out>(q.expected, k.expected, v.expected, options, hides.expected),
                    attention<Out>(q.actual, k.actual, v.actual, options, hides.actual), rounded);
      const auto bias = suite.template tensor<Out>(suite.broadcastable_to(scores), [&] {
        return convert<Out>(suite.chance(0.3) ? -infinity : suite.template value<float>());
      });
      suite.compare("attention, added mask", attention<Out>(q.expected, k.expected, v.expected, options, bias.expected),
                    attention<Out>(q.actual, k.actual, v.actual, options, bias.actual), rounded);
      suite.compare("attention in float", attention<float>(q.expected, k.expected, v.expected, options), attention<float>(q.actual, k.actual, v.actual, options),
                    close);
    });
  };
  check(std::type_identity<float>{}, std::type_identity<float>{}, std::type_identity<float>{}, std::type_identity<float>{});
  check(std::type_identity<bf16>{}, std::type_identity<bf16>{}, std::type_identity<bf16>{}, std::type_identity<bf16>{});
  check(std::type_identity<f16>{}, std::type_identity<f16>{}, std::type_identity<f16>{}, std::type_identity<f16>{});
  check(std::type_identity<float>{}, std::type_identity<f16>{}, std::type_identity<bf16>{}, std::type_identity<f16>{});
  suite.repeat(1, [&] {
    // The queries' own bytes take the result; scores far apart; many blocks of keys.
    const auto k = suite.template filled<float>({3, 300, 24}, [&] { return suite.template value<float>() * 5; });
    const auto v = suite.template filled<float>({3, 300, 24}, [&] { return suite.template value<float>(); });
    const auto q = suite.template filled<float>({3, 70, 24}, [&] { return suite.template value<float>() * 5; });
    attention_into(q.expected, q.expected, k.expected, v.expected, {.causal = true});
    attention_into(q.actual, q.actual, k.actual, v.actual, {.causal = true});
    suite.compare("in place", q.expected, q.actual, {1e-4, 1e-4});
    // What is no number, or no number any more: as softmax's formula has it.
    const std::array<float, 8> odd{std::nanf(""), infinity, -infinity, 1e30f, std::numeric_limits<float>::lowest(), 0.f, 1.f, -3.f};
    std::size_t next = 0;
    const auto bias = suite.template filled<float>({3, 70, 300}, [&] { ++next; return next % 97 == 0 ? odd[next % 8] : next / 300 % 7 == 0 ? odd[4] : 0.f; });
    const auto x = suite.template filled<float>({3, 70, 24}, [&] { return suite.template value<float>(); });
    suite.compare("odd numbers", attention(x.expected, k.expected, v.expected, {}, bias.expected),
                  attention(x.actual, k.actual, v.actual, {}, bias.actual), {1e-4, 1e-4});
  });
}

}  // namespace cotenant::test

#define COTENANT_BACKEND_SUITE_ATTENTION(Fixture)            \
  namespace cotenant::test {                                 \
  TEST_CASE_TEMPLATE_INVOKE(backend_attention, Fixture);     \
  }

#endif
