// AnyOperand: an operand whose element type is a value, as the host side of kernels takes it: its code is compiled once for all types.
#ifndef COTENANT_VULKAN_ANY_OPERAND_HPP
#define COTENANT_VULKAN_ANY_OPERAND_HPP
#include <cstddef>
#include <type_traits>

#include "cotenant/core/element.hpp"
#include "cotenant/core/layout.hpp"
#include "cotenant/ops/operand.hpp"

namespace cotenant::vulkan {

// View without a type. Who writes through it knows that it may: an op's argument struct said so.
class AnyView {
 public:
  AnyView() = default;
  // `data`: where the element with all indices 0 lies.
  AnyView(DType type, void* data, const Shape& shape, const Strides& strides) : type_(type), data_(data), shape_(shape), strides_(strides) {}
  template <class T> AnyView(const View<T>& view)
      : AnyView(dtype_of<std::remove_const_t<T>>, const_cast<std::remove_const_t<T>*>(view.data()), view.shape(), view.strides()) {}

  DType type() const { return type_; }
  void* data() const { return data_; }
  const Shape& shape() const { return shape_; }
  const Strides& strides() const { return strides_; }
  std::size_t shape(std::size_t axis) const { return shape_[axis]; }
  std::ptrdiff_t stride(std::size_t axis) const { return strides_[axis]; }
  std::size_t rank() const { return shape_.rank(); }
  std::size_t size() const { return element_count(shape_); }
  std::size_t bytes() const { return size() * size_of(type_); }
  Layout layout() const { return {shape_, strides_, 0}; }
  bool contiguous() const { return is_contiguous(shape_, strides_); }

 private:
  DType type_{};
  void* data_ = nullptr;
  Shape shape_;
  Strides strides_;
};

struct AnyOperand {
  AnyView view;
  Block* block = nullptr;

  AnyOperand() = default;
  AnyOperand(const AnyView& of, Block* from) : view(of), block(from) {}
  template <class T> AnyOperand(const Operand<T>& operand) : view(operand.view), block(operand.block) {}

  DType type() const { return view.type(); }
  const Shape& shape() const { return view.shape(); }
  // The same bytes under another layout, whose offset is 0.
  AnyOperand with(const Layout& layout) const { return {AnyView(view.type(), view.data(), layout.shape, layout.strides), block}; }
};

}  // namespace cotenant::vulkan

#endif
