// The suite's cases of softmax along odd axes, its logarithm, norms with a residual, and rotary, against Reference.
#ifndef COTENANT_TESTS_BACKEND_ROWS_SUITE_HPP
#define COTENANT_TESTS_BACKEND_ROWS_SUITE_HPP
#include <concepts>
#include <limits>

#include "suite.hpp"

namespace cotenant::test {

TEST_CASE_TEMPLATE_DEFINE("log_softmax", Fixture, backend_log_softmax) {
  Suite<Fixture> suite(22);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const auto check = [&]<class T, class Out>(std::type_identity<T>, std::type_identity<Out>) {
    suite.repeat(12, [&] {
      const Shape shape = suite.shape(1 + suite.below(4));
      const auto axis = static_cast<std::ptrdiff_t>(suite.below(shape.rank()));
      const auto x = suite.template tensor<T>(shape);
      auto out = suite.template tensor<Out>(shape);
      log_softmax_into(out.expected, x.expected, axis);
      log_softmax_into(out.actual, x.actual, axis);
      suite.compare("log_softmax_into", out.expected, out.actual, {2e-6, 1e-6});
      softmax_into(out.expected, x.expected, axis);
      softmax_into(out.actual, x.actual, axis);
      suite.compare("softmax_into", out.expected, out.actual, {1e-7, 2e-6});
    });
  };
  check(std::type_identity<float>{}, std::type_identity<float>{});
  check(std::type_identity<f16>{}, std::type_identity<float>{});
  check(std::type_identity<float>{}, std::type_identity<bf16>{});
  // Rows of several blocks, whose maxima are far apart or missing, and columns side by side.
  suite.repeat(1, [&] {
    for (const Shape& shape : {Shape{2, 10001}, Shape{3, 4096}, Shape{70, 37}}) {
      std::size_t next = 0;
      const auto x = suite.template filled<float>(shape, [&] {
        const std::size_t block = next++ / 4096 % 4;
        return block == 1 ? -infinity : suite.template value<float>() * 10 + static_cast<float>(block) * 30;
      });
      for (const std::ptrdiff_t axis : {0, 1}) {
        suite.compare("long softmax", softmax(x.expected, axis), softmax(x.actual, axis), {1e-7, 4e-6});
        suite.compare("long log_softmax", log_softmax(x.expected, axis), log_softmax(x.actual, axis), {1e-5, 1e-6});
      }
    }
    const auto odd = suite.template filled<float>({40, 5000}, [&] {
      return suite.chance(0.0005) ? suite.chance(0.5) ? std::nanf("") : infinity : suite.chance(0.9) ? -infinity : 1.f;
    });
    for (const std::ptrdiff_t axis : {0, 1}) {
      suite.compare("softmax of what is no number", softmax(odd.expected, axis), softmax(odd.actual, axis), {1e-7, 4e-6});
      suite.compare("log_softmax of what is no number", log_softmax(odd.expected, axis), log_softmax(odd.actual, axis), {1e-5, 1e-6});
    }
  });
}

TEST_CASE_TEMPLATE_DEFINE("norms of a sum", Fixture, backend_norm) {
  Suite<Fixture> suite(23);
  const auto check = [&]<class T, class R, class P, class Out>(std::type_identity<T>, std::type_identity<R>, std::type_identity<P>, std::type_identity<Out>) {
    suite.repeat(12, [&] {
      const Shape shape = suite.shape(1 + suite.below(3));
      const auto x = suite.template tensor<T>(shape);
      const auto residual = suite.template tensor<R>(shape);
      const auto scale = suite.template tensor<P>({shape.back()}), bias = suite.template tensor<P>({shape.back()});
      const Tolerance close{2e-5, 2e-5};
      suite.compare("rms_norm", rms_norm<float>(x.expected, scale.expected, 1e-3f), rms_norm<float>(x.actual, scale.actual, 1e-3f), close);
      suite.compare("layer_norm of a sum", layer_norm<float>(x.expected, scale.expected, bias.expected, 1e-3f, residual.expected),
                    layer_norm<float>(x.actual, scale.actual, bias.actual, 1e-3f, residual.actual), close);
      auto out = suite.template tensor<Out>(shape), sum = suite.template tensor<Out>(shape);
      rms_norm_into(out.expected, x.expected, scale.expected, 1e-3f, residual.expected, sum.expected);
      rms_norm_into(out.actual, x.actual, scale.actual, 1e-3f, residual.actual, sum.actual);
      suite.compare("rms_norm of a sum", out.expected, out.actual, close);
      suite.compare("the sum", sum.expected, sum.actual, {0, 1e-6});
      layer_norm_into(out.expected, x.expected, scale.expected, bias.expected, 1e-3f, residual.expected, sum.expected);
      layer_norm_into(out.actual, x.actual, scale.actual, bias.actual, 1e-3f, residual.actual, sum.actual);
      suite.compare("layer_norm and the sum", out.expected, out.actual, close);
    });
  };
  check(std::type_identity<float>{}, std::type_identity<float>{}, std::type_identity<float>{}, std::type_identity<float>{});
  check(std::type_identity<bf16>{}, std::type_identity<bf16>{}, std::type_identity<bf16>{}, std::type_identity<bf16>{});
  check(std::type_identity<float>{}, std::type_identity<f16>{}, std::type_identity<float>{}, std::type_identity<f16>{});
  suite.repeat(1, [&] {
    // In place, as a decoder's residual stream goes: x takes the sum, the residual's room the result.
    const auto x = suite.template filled<float>({9, 100}, [&] { return suite.template value<float>(); });
    const auto residual = suite.template filled<float>({9, 100}, [&] { return suite.template value<float>() + 100; });
    const auto scale = suite.template tensor<float>({100});
    rms_norm_into(residual.expected, x.expected, scale.expected, 1e-5f, residual.expected, x.expected);
    rms_norm_into(residual.actual, x.actual, scale.actual, 1e-5f, residual.actual, x.actual);
    suite.compare("in place", residual.expected, residual.actual, {1e-6, 1e-5});
    suite.compare("the sum in place", x.expected, x.actual, {0, 1e-6});
    // A mean far from 0: the variance must not cancel.
    layer_norm_into(x.expected, x.expected, scale.expected, scale.expected, 0.f);
    layer_norm_into(x.actual, x.actual, scale.actual, scale.actual, 0.f);
    suite.compare("far from 0", x.expected, x.actual, {1e-4, 1e-4});
  });
}

TEST_CASE_TEMPLATE_DEFINE("rotary", Fixture, backend_rotary) {
  Suite<Fixture> suite(24);
  const auto check = [&]<class T, class Table, class Out>(std::type_identity<T>, std::type_identity<Table>, std::type_identity<Out>) {
    suite.repeat(12, [&] {
      Shape shape = suite.shape(2 + suite.below(2));
      shape.append(suite.extent());
      Shape angles = shape;
      angles[angles.rank() - 1] = suite.below(shape.back() / 2 + 1);
      const std::size_t half = angles.back();
      angles = suite.broadcastable_to(angles);
      if (angles.empty()) angles = Shape{half};
      angles[angles.rank() - 1] = half;
      const auto x = suite.template tensor<T>(shape);
      const auto cosine = suite.template tensor<Table>(angles), sine = suite.template tensor<Table>(angles);
      const RotaryPairs pairs = suite.chance(0.5) ? RotaryPairs::halves : RotaryPairs::neighbours;
      auto out = suite.template tensor<Out>(shape);
      rotary_into(out.expected, x.expected, cosine.expected, sine.expected, pairs);
      rotary_into(out.actual, x.actual, cosine.actual, sine.actual, pairs);
      suite.compare("rotary", out.expected, out.actual, {2e-6, 1e-6});
      if constexpr (std::same_as<T, Out>) {
        rotary_into(x.expected, x.expected, cosine.expected, sine.expected, pairs);
        rotary_into(x.actual, x.actual, cosine.actual, sine.actual, pairs);
        suite.compare("in place", x.expected, x.actual, {2e-6, 1e-6});
      }
    });
  };
  check(std::type_identity<float>{}, std::type_identity<float>{}, std::type_identity<float>{});
  check(std::type_identity<bf16>{}, std::type_identity<float>{}, std::type_identity<bf16>{});
  check(std::type_identity<f16>{}, std::type_identity<bf16>{}, std::type_identity<float>{});
}

}  // namespace cotenant::test

#define COTENANT_BACKEND_SUITE_MORE_ROWS(Fixture)            \
  namespace cotenant::test {                                 \
  TEST_CASE_TEMPLATE_INVOKE(backend_log_softmax, Fixture);   \
  TEST_CASE_TEMPLATE_INVOKE(backend_norm, Fixture);          \
  TEST_CASE_TEMPLATE_INVOKE(backend_rotary, Fixture);        \
  }

#endif
