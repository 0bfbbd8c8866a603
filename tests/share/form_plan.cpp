// What a form takes to make, what it costs, and why there may be none.
#include "cotenant/share/form_plan.hpp"

#include "support.hpp"

namespace ct = cotenant;
using ct::DType;
using ct::Fit;
using ct::detail::FormPlan;
using ct::detail::FormSource;
using ct::detail::plan_form;
using share_tests::has;

namespace {
FormPlan plan(DType dtype, const ct::Shape& shape, const ct::TensorForm& form, DType asked) {
  return plan_form(FormSource{dtype, ct::contiguous_layout(shape)}, &form, asked);
}
}  // namespace

TEST_CASE("nothing to do, a view, a copy") {
  const FormPlan same = plan(DType::f32, {2, 8}, {.width = 8, .axes = {}}, DType::f32);
  CHECK(same.how.empty());
  CHECK(same.is_view);
  CHECK(plan_form({DType::i64, ct::contiguous_layout({3})}, nullptr, DType::i64).how.empty());

  const FormPlan sliced = plan(DType::i64, {2, 8}, {.width = 3, .fit = Fit::slice, .axes = {1, 0}}, DType::i64);
  CHECK(sliced.is_view);
  CHECK(sliced.bytes == 0);
  CHECK(sliced.shape == ct::Shape{3, 2});
  CHECK(sliced.layout.strides == ct::Strides{1, 8});
  CHECK(sliced.how == "8 → 3 wide by slice, axes 1, 0");

  const FormPlan copied = plan(DType::f32, {2, 8}, {.width = 3, .fit = Fit::slice_or_pad, .row_major = true}, DType::f32);
  CHECK_FALSE(copied.is_view);
  CHECK(copied.bytes == 24);
  CHECK(copied.how == "8 → 3 wide by slice, row-major");
  CHECK(plan(DType::f32, {1, 8}, {.width = 3, .fit = Fit::slice, .row_major = true}, DType::f32).is_view);  // one row is in order anyway

  const FormPlan padded = plan(DType::bf16, {2, 8}, {.width = 10, .fit = Fit::pad}, DType::f16);
  CHECK(padded.how == "8 → 10 wide by zeros, bf16 → f16");
  CHECK(padded.bytes == 40);
  CHECK(padded.dtype == DType::f16);
}

TEST_CASE("quantised forms count their parameters; each set of ranges is another form") {
  const FormSource source{DType::f32, ct::contiguous_layout({4, 64})};
  const FormPlan rows = plan_form(source, nullptr, DType::i8), blocks = plan_form(source, nullptr, DType::i8, ct::per_block(32));
  CHECK(rows.bytes == 256 + 16);
  CHECK(rows.how == "f32 → i8");
  CHECK(blocks.bytes == 256 + 32);
  CHECK(blocks.how == "f32 → i8, ranges 4×2");
  CHECK(rows.key != blocks.key);
  CHECK(plan_form(source, nullptr, DType::u8).bytes == 256 + 64 + 4);  // parts begin on a cache line
  CHECK(plan_form(source, nullptr, DType::i4x2).shape == ct::Shape{4, 32});
  CHECK(plan_form({DType::f32, ct::contiguous_layout({})}, nullptr, DType::i8).refusal.empty());
  CHECK_THROWS_AS(plan_form(source, nullptr, DType::i8, ct::per_block(3)), ct::ShapeError);
}

TEST_CASE("what cannot be done, and why") {
  const auto why = [](DType dtype, const ct::Shape& shape, const ct::TensorForm& form, DType asked) { return plan(dtype, shape, form, asked).refusal; };
  CHECK(has(why(DType::i32, {2}, {}, DType::f32), "i32 elements do not become f32"));
  CHECK(has(why(DType::f32, {2}, {}, DType::boolean), "do not become bool"));
  CHECK(has(why(DType::i8, {2}, {}, DType::f32), "registered with their scale"));
  CHECK(plan(DType::i8, {2}, {}, DType::f32).wrong_type);
  CHECK(has(why(DType::f32, {2, 8}, {.width = 3}, DType::f32), "allow it to be sliced"));
  CHECK(has(why(DType::f32, {2, 8}, {.width = 9, .fit = Fit::slice}, DType::f32), "allow it to be padded"));
  CHECK_FALSE(plan(DType::f32, {2, 8}, {.width = 3}, DType::f32).wrong_type);
  CHECK(has(why(DType::f32, {}, {.width = 3}, DType::f32), "scalar"));
  CHECK(has(why(DType::f32, {2, 8}, {.axes = {0}}, DType::f32), "2 axes"));
  CHECK(has(why(DType::f32, {2, 8}, {.axes = {0, 2}}, DType::f32), "order 0, 2"));
  CHECK(has(why(DType::f32, {2, 3}, {}, DType::i4x2), "pairs"));
  const ct::Projection projection(8, 4, [](const auto&) { return ct::SharedTensor<float>(); });
  CHECK(plan(DType::f16, {2, 8}, {.projection = projection}, DType::f16).shape == ct::Shape{2, 4});
  CHECK(has(why(DType::f32, {2, 7}, {.projection = projection}, DType::f32), "takes 8"));
  CHECK(has(why(DType::f32, {2, 8}, {.width = 5, .projection = projection}, DType::f32), "gives 4"));
  CHECK(has(why(DType::i64, {2, 8}, {.projection = projection}, DType::i64), "numbers"));
  const ct::detail::QuantizedParameters parameters{ct::contiguous_layout({1, 1}), std::nullopt};
  const ct::TensorForm narrow{.width = 2, .fit = Fit::slice};
  const FormSource quantised{DType::i8, ct::contiguous_layout({2, 8}), &parameters};
  CHECK(has(plan_form(quantised, &narrow, DType::i8).refusal, "take it as a float type"));
  CHECK(plan_form(quantised, &narrow, DType::f32).how == "8 → 2 wide by slice, i8 → f32");
}
