// What ops refuse: each one with operands that fit, then with one of them spoilt in every way there is. Typed errors that name the op, and
// an output that nobody has touched.
#include "backends.hpp"

#include "../error_text.hpp"

namespace cotenant::test {
namespace {

template <Storage S> class Refusals {
 public:
  explicit Refusals(S storage) : storage_(std::move(storage)) {}

  template <Element T> SharedTensor<T, S> tensor(const Shape& shape, T value = T(1)) const { return full<T>(shape, value).copy_to(storage_); }

  // call(out, in...) is the op `name`.
  template <class Call, class Out, class... In> void check(const char* name, Call call, const SharedTensor<Out, S>& out, const In&... in) {
    CAPTURE(std::string(name));
    CHECK_NOTHROW(call(out, in...));
    const auto said = [&](const auto&... operands) { return message([&] { call(operands...); }); };
    const auto expect = [&](const std::string& text, std::initializer_list<const char*> parts) {
      CAPTURE(text);
      CHECK(text != "no error");
      for (const char* part : parts) CHECK(has(text, part));
    };
    // Outputs that cannot be written, or do not fit.
    expect(said(SharedTensor<Out, S>(), in...), {name, "empty"});
    SharedTensor<Out, S> gone = out;
    const SharedTensor<Out, S> taken = std::move(gone);
    expect(said(gone, in...), {name, "empty"});
    expect(said(tensor<Out>({7, 11, 13}), in...), {"shape_mismatch", name, "[7, 11, 13]"});
    expect(said(tensor<Out>(out.shape()).freeze(), in...), {"read_only", "detach()"});
    expect(said(tensor<Out>({}).broadcast_to(out.shape()), in...), {"read_only", "stride 0"});
    // Inputs.
    std::size_t spoilt = 0;
    const auto each = [&](auto make, std::initializer_list<const char*> parts) {
      for (spoilt = 0; spoilt < sizeof...(In); ++spoilt) {
        CAPTURE(spoilt);
        std::size_t next = 0;
        const auto maybe = [&](const auto& operand) { return next++ == spoilt ? make(operand) : operand; };
        // Braces call maybe() in order.
        const std::tuple<In...> operands{maybe(in)...};
        std::apply([&](const auto&... given) { expect(said(out, given...), parts); }, operands);
      }
    };
    each([]<class T>(const SharedTensor<T, S>&) { return SharedTensor<T, S>(); }, {"invalid_argument", name, "empty"});
    each([&]<class T>(const SharedTensor<T, S>&) { return tensor<T>({7, 11, 13}); }, {"shape_mismatch", name});
    // Nothing of that left the library in another state.
    CHECK_NOTHROW(call(out, in...));
  }

  void check_all() {
    const auto x = tensor<float>({4, 6}), y = tensor<float>({4, 6}), row = tensor<float>({6}), half = tensor<float>({4, 3});
    const auto out = tensor<float>({4, 6});
    const auto same = [&](const char* name, auto call) { check(name, call, out, x); };
    same("copy", [](auto& to, auto& a) { copy_into(to, a); });
    same("softmax", [](auto& to, auto& a) { softmax_into(to, a); });
    same("softmax", [](auto& to, auto& a) { log_softmax_into(to, a, 0); });
    check(
        "map",
        [](auto& to, auto& a, auto& b) {
          map_into(
              to, [](auto p, auto q) { return p + q; }, a, b);
        },
        out, x, row);
    check(
        "matmul", [](auto& to, auto& a, auto& b) { matmul_into(to, a, b); }, out, half, tensor<float>({3, 6}));
    check(
        "matmul",
        [](auto& to, auto& a, auto& b, auto& c) {
          matmul_into(
              to, a, b, [](auto sum, auto bias) { return sum + bias; }, c);
        },
        out, half, tensor<float>({3, 6}), row);
    check(
        "attention", [](auto& to, auto& q, auto& k, auto& v) { attention_into(to, q, k, v); }, out, half, tensor<float>({5, 3}), tensor<float>({5, 6}));
    check(
        "attention", [](auto& to, auto& q, auto& k, auto& v, auto& mask) { attention_into(to, q, k, v, {.causal = true}, mask); }, out, half,
        tensor<float>({5, 3}), tensor<float>({5, 6}), tensor<bool>({4, 5}));
    check(
        "reduce", [](auto& to, auto& a) { reduce_into<reduction::Sum>(to, a, {.axes = {1}}); }, tensor<float>({4}), x);
    check(
        "layer_norm", [](auto& to, auto& a, auto& scale, auto& bias) { layer_norm_into(to, a, scale, bias, 1e-5f); }, out, x, row, row);
    check(
        "layer_norm", [](auto& to, auto& a, auto& scale, auto& bias, auto& b) { layer_norm_into(to, a, scale, bias, 1e-5f, b); }, out, x, row, row, y);
    check(
        "rms_norm", [](auto& to, auto& a, auto& scale) { rms_norm_into(to, a, scale, 1e-5f); }, out, x, row);
    check(
        "rms_norm", [](auto& to, auto& a, auto& scale, auto& b) { rms_norm_into(to, a, scale, 1e-5f, b); }, out, x, row, y);
    check(
        "rotary", [](auto& to, auto& a, auto& cosine, auto& sine) { rotary_into(to, a, cosine, sine); }, out, x, half, half);
    check(
        "quantize", [](auto& to, auto& a, auto& scale) { quantize_into(to, a, scale); }, tensor<std::int8_t>({4, 6}), x, row);
    check(
        "dequantize", [](auto& to, auto& a, auto& scale) { dequantize_into(to, a, scale); }, out, tensor<std::int8_t>({4, 6}), row);
    check(
        "quantize",
        [&](auto& to, auto& a) {
          quantize_into(Quantized<std::int8_t, S>{to, tensor<float>({6}), {}}, a);
        },
        tensor<std::int8_t>({4, 6}), x);
    check(
        "matmul",
        [](auto& to, auto& a, auto& b, auto& scale) {
          matmul_into(to, a, Quantized<std::int8_t, S>{b, scale, {}});
        },
        out, half, tensor<std::int8_t>({3, 6}), row);
  }
  // What the arguments beside the operands may be.
  void check_arguments() {
    const auto x = tensor<float>({4, 6});
    const auto row = tensor<float>({6});
    const auto refuses = [](ErrorCode code, std::initializer_list<const char*> parts, auto call) {
      const std::string text = message(call);
      CAPTURE(text);
      CHECK(has(text, to_string(code)));
      for (const char* part : parts) CHECK(has(text, part));
    };
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const std::ptrdiff_t axis :
         {std::ptrdiff_t{2}, std::ptrdiff_t{-3}, std::numeric_limits<std::ptrdiff_t>::min(), std::numeric_limits<std::ptrdiff_t>::max()}) {
      refuses(ErrorCode::shape_mismatch, {"axis", "rank 2"}, [&] { softmax(x, axis); });
      refuses(ErrorCode::shape_mismatch, {"axis", "rank 2"}, [&] { top_k(x, 1, axis); });
      refuses(ErrorCode::shape_mismatch, {"axis", "rank 2"}, [&] { argmax(x, axis); });
      refuses(ErrorCode::shape_mismatch, {"axis", "rank 2"}, [&] { reduce_sum(x, {.axes = {axis}}); });
      refuses(ErrorCode::shape_mismatch, {"axis", "rank 2"}, [&] { quantize<std::int8_t>(x, {.axis = axis}); });
    }
    refuses(ErrorCode::shape_mismatch, {"twice"}, [&] { reduce_sum(x, {.axes = {1, -1}}); });
    refuses(ErrorCode::shape_mismatch, {"top_k of 7", "[4, 6]"}, [&] { top_k(x, 7); });
    refuses(ErrorCode::shape_mismatch, {"fewer"}, [&] { argmax(tensor<float>({3, 0})); });
    refuses(ErrorCode::shape_mismatch, {"rank 0"}, [&] { softmax(tensor<float>({})); });
    for (const float epsilon : {-1e-5f, nan}) {
      refuses(ErrorCode::invalid_argument, {"layer_norm", "epsilon"}, [&] { layer_norm(x, row, row, epsilon); });
      refuses(ErrorCode::invalid_argument, {"rms_norm", "epsilon"}, [&] { rms_norm(x, row, epsilon); });
    }
    refuses(ErrorCode::invalid_argument, {"quantize", "[-128, 127]"}, [&] { quantize<std::int8_t>(x, row, SharedTensor<std::int8_t, S>{}, -129, 127); });
    refuses(ErrorCode::invalid_argument, {"quantize", "[3, 2]"}, [&] { quantize<std::int8_t>(x, row, SharedTensor<std::int8_t, S>{}, 3, 2); });
    refuses(ErrorCode::shape_mismatch, {"blocks of 4", "[4, 6]"}, [&] { quantize<std::int8_t>(x, per_block(4)); });
    refuses(ErrorCode::shape_mismatch, {"axis"}, [&] { quantize<std::int8_t>(x, QuantizeOptions{.axis = {}, .block_size = 2}); });
    refuses(ErrorCode::shape_mismatch, {"pairs", "even"}, [&] { quantize<i4x2>(tensor<float>({4, 5}), per_row); });
    refuses(ErrorCode::shape_mismatch, {"zero point", "one shape"}, [&] { dequantize(tensor<std::int8_t>({4, 6}), row, tensor<std::int8_t>({4, 1})); });
    refuses(ErrorCode::shape_mismatch, {"no row"}, [&] { gather(tensor<float>({0, 3}), tensor<std::int32_t>({2})); });
    refuses(ErrorCode::shape_mismatch, {"at least one dimension"}, [&] { gather(tensor<float>({}), tensor<std::int32_t>({2})); });
    refuses(ErrorCode::shape_mismatch, {"inner dimensions", "transpose()"}, [&] { matmul(x, x); });
    refuses(ErrorCode::shape_mismatch, {"matrices or vectors"}, [&] { matmul(x, tensor<float>({})); });
    refuses(ErrorCode::shape_mismatch, {"4-bit", "K / 2"}, [&] { matmul(x, Quantized<i4x2, S>{tensor<i4x2>({5, 4}, i4x2(1, 1)), row, {}}); });
    // Nine axes are more than there are.
    const auto deep = tensor<float>({1, 1, 1, 1, 1, 1, 1, 1});
    refuses(ErrorCode::shape_mismatch, {"at most 8"}, [&] { deep.unsqueeze(0); });
    refuses(ErrorCode::shape_mismatch, {"at most 8"}, [&] { gather(deep, tensor<std::int32_t>({1, 1}, 0)); });
    // Repeated without memory: more elements than an index counts.
    const auto huge = tensor<float>({1, 1}).broadcast_to({std::size_t{1} << 31, std::size_t{1} << 31});
    CHECK(message([&] { map([](auto a) { return a + 1.f; }, huge); }) != "no error");
    CHECK(message([&] {
            matmul(tensor<float>({1, 1}).broadcast_to({std::size_t{1} << 40, 1}), tensor<float>({1, 1}).broadcast_to({1, std::size_t{1} << 40}));
          }) != "no error");
    if constexpr (S::host_accessible)
      for (const std::int64_t index : {std::int64_t{4}, std::int64_t{-5}, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()})
        refuses(ErrorCode::invalid_argument, {"gather", "4 rows"}, [&] { gather(x, tensor<std::int64_t>({1}, index)); });
    else {
      // Queued: the nearest row.
      const auto rows = from<float>({0, 1, 2, 3}, {4, 1}).copy_to(storage_);
      const auto indices =
          from<std::int64_t>({4, -5, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}, {4}).copy_to(storage_);
      const auto got = gather(rows, indices).template copy_to<Heap>();
      CHECK(std::vector<float>(got.view().data(), got.view().data() + 4) == std::vector<float>{3, 0, 0, 3});
    }
  }

 private:
  S storage_;
};

TEST_CASE("operands that ops refuse") {
  Refusals<Heap>({}).check_all();
#ifdef COTENANT_VULKAN_SEPARATE
  Refusals<Vulkan>(VulkanUnderTest::storage(0)).check_all();
  CHECK(VulkanUnderTest::complaint() == "");
#endif
}

TEST_CASE("arguments that ops refuse") {
  Refusals<Heap>({}).check_arguments();
#ifdef COTENANT_VULKAN_SEPARATE
  Refusals<Vulkan>(VulkanUnderTest::storage(0)).check_arguments();
  CHECK(VulkanUnderTest::complaint() == "");
#endif
}

}  // namespace
}  // namespace cotenant::test
