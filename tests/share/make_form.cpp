// Forms carried out: the elements are those that were asked for, whatever the strides, the type and the order of the steps.
#include "cotenant/share/make_form.hpp"

#include "support.hpp"

namespace ct = cotenant;
using ct::DType;
using ct::Fit;
using namespace ct::detail;

namespace {

// The form of a tensor as numbers.
template <class T> ct::SharedTensor<float> numbers(const ct::SharedTensor<T>& x, const ct::TensorForm& form, DType asked, const QuantizedParameters* parameters = nullptr) {
  const FormSource source{ct::dtype_of<T>, x.layout(), parameters};
  const FormPlan plan = plan_form(source, &form, asked);
  REQUIRE(plan.refusal.empty());
  REQUIRE_FALSE(plan.is_view);
  const MadeForm made = make_form(plan, source, x.block(), form_room<ct::Heap>);
  CHECK(made.layout.shape == plan.shape);
  CHECK(made.block->bytes() == ct::HeapCache::padded(plan.bytes));
  const RowReader reader(asked, made.block->data(), made.layout, made.parameters.get());
  auto out = ct::empty<float>(reader.shape());
  convert_rows(reader, DType::f32, out.mutable_view().data());
  return out;
}

}  // namespace

TEST_CASE("every step after every other") {
  const auto whole = ct::full<float>({6, 10}, 0.0f);
  for (std::size_t i = 0; i < 60; ++i) ct::SharedTensor<float>(whole).mutable_view().data()[i] = static_cast<float>(i);
  const auto x = whole.slice(0, 4, -1, -2).slice(1, 1, 9, 2);  // rows 4, 2, 0; columns 1, 3, 5, 7
  const auto at = [](std::size_t i, std::size_t j) { return static_cast<float>((4 - 2 * i) * 10 + 1 + 2 * j); };
  for (DType asked : {DType::f32, DType::bf16, DType::f16, DType::i8, DType::u8, DType::i4x2})
    for (std::size_t width : {2u, 4u, 6u})
      for (bool turned : {false, true}) {
        if (turned && asked == DType::i4x2) continue;  // three rows are no pairs
        CAPTURE(width);
        CAPTURE(turned);
        CAPTURE(std::string(ct::to_string(asked)));
        ct::TensorForm form{.width = width, .fit = Fit::slice_or_pad, .row_major = true};
        if (turned) form.axes = {1, 0};
        const auto y = numbers(x, form, asked);
        for (std::size_t i = 0; i < 3; ++i)
          for (std::size_t j = 0; j < width; ++j) {
            const float expected = j < 4 ? at(i, j) : 0.0f;
            const float step = asked == DType::i8 ? 47.0f / 127 : asked == DType::u8 ? 47.0f / 255 : asked == DType::i4x2 ? 47.0f / 7 : 0.0f;
            CHECK(std::fabs((turned ? y.view()(j, i) : y.view()(i, j)) - expected) <= step / 2 * 1.001f);
          }
      }
}

TEST_CASE("quantised sources: ranges along any axis, narrowed as numbers") {
  const auto values = ct::from<std::uint8_t>({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {2, 8});
  auto scale = ct::from<float>({1, 10, 100, 1000}, {2, 2});
  const auto zero = ct::from<std::uint8_t>({0, 4, 8, 15}, {2, 2});
  const auto packed = pack_quantized(ct::Quantized<std::uint8_t, ct::Heap>{values.transpose().transpose(), scale, zero});
  const ct::SharedTensor<std::uint8_t> x(packed.block, packed.layout);
  const float expected[] = {0, 1, 2, 3, 0, 10, 20, 30, 0, 100, 200, 300, -3000, -2000, -1000, 0};
  const auto all = numbers(x, {}, DType::f32, packed.parameters.get());
  for (std::size_t i = 0; i < 16; ++i) CHECK(all.view().data()[i] == expected[i]);
  const auto part = numbers(x, {.width = 6, .fit = Fit::slice, .axes = {1, 0}}, DType::f32, packed.parameters.get());
  CHECK(part.shape() == ct::Shape{6, 2});
  CHECK(part.view()(5, 0) == 10.0f);
  CHECK(part.view()(4, 1) == -3000.0f);
  const auto wide = numbers(x, {.width = 9, .fit = Fit::pad}, DType::bf16, packed.parameters.get());
  CHECK(wide.view()(0, 8) == 0.0f);
  CHECK(wide.view()(0, 7) == 30.0f);
}

TEST_CASE("elements that are no numbers are moved as they are") {
  const auto ids = ct::from<std::int64_t>({1, 2, 3, std::int64_t{1} << 60}, {2, 2});
  const ct::TensorForm form{.width = 3, .fit = Fit::pad};
  const FormSource source{DType::i64, ids.transpose().layout()};
  const MadeForm made = make_form(plan_form(source, &form, DType::i64), source, ids.block(), form_room<ct::Heap>);
  const ct::SharedTensor<std::int64_t> padded(made.block, made.layout);
  CHECK(padded.view()(1, 1) == std::int64_t{1} << 60);
  CHECK(padded.view()(0, 1) == 3);
  CHECK(padded.view()(1, 2) == 0);
}

TEST_CASE("empty tensors have forms too") {
  const auto none = ct::empty<float>({0, 4});
  CHECK(numbers(none, {}, DType::i8).shape() == ct::Shape{0, 4});
  CHECK(numbers(ct::empty<float>({3, 0}), {}, DType::bf16).size() == 0);
  CHECK(numbers(ct::empty<float>({3, 0}), {.width = 2, .fit = Fit::pad}, DType::f32).view()(2, 1) == 0.0f);
  CHECK(numbers(ct::full<float>({}, 3.0f), {}, DType::i8).view()() == 3.0f);
}
