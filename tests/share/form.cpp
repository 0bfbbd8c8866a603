// TensorForm: what may be said of how a model takes a tensor.
#include "cotenant/share/form.hpp"

#include "support.hpp"

namespace ct = cotenant;

TEST_CASE("a form says nothing by default; copies share a projection") {
  const ct::TensorForm nothing;
  CHECK_FALSE(nothing.dtype.has_value());
  CHECK_FALSE(nothing.width.has_value());
  CHECK(nothing.fit == ct::Fit::exact);
  CHECK_FALSE(static_cast<bool>(nothing.projection));
  const ct::Projection doubled(2, 2, [](const ct::SharedTensor<float, ct::Borrowed>& rows) {
    auto out = ct::empty<float>(rows.shape());
    for (std::size_t i = 0; i < rows.size(); ++i) out.mutable_view().data()[i] = 2 * rows.view().data()[i];
    return out;
  });
  const ct::TensorForm form{.dtype = ct::DType::f16, .width = 2, .projection = doubled}, copy = form;
  CHECK(copy.projection.apply == doubled.apply);
  std::vector<float> memory{1, 2};
  CHECK((*copy.projection.apply)(ct::borrow(std::span<float>(memory), {1, 2})).view()(0, 1) == 4.0f);
}
