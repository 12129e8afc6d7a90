"""The code generator of templates: Python code that spends the budget of a rendering (see `sandbox.py`), and that is faster than Jinja's.

- Each part that is written between two statements is one text, not several.
- A written value is escaped by one call. Most values are counted with the complete text, not one by one.
- `order.lines` reads a dictionary's key in place. Whether the variable of a loop is a dictionary is asked once per pass.
- A template or a block yields one text, so that its parts do not pass through all templates around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import cast

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.idtracking import VAR_LOAD_PARAMETER

from streams.mail.rendering.flat_scopes import stored_by


class CountingCodeGenerator(CodeGenerator):
    """Jinja's code generator for a synchronous `Sandbox` without `finalize`."""

    #: The Python names of variables whose value does not change -> those of their dictionaries. Another value has an empty one.
    _dictionaries: Mapping[str, str] = MappingProxyType({})

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:
        """Write the code of a template, after the names of the functions that all of it calls."""
        self.writeline("takk_step, takk_call = environment.budget.step, environment.call_with_text")
        self.writeline("takk_empty = {}")
        self.writeline("takk_html, takk_text, takk_complete, takk_concat = environment.writers")
        super().visit_Template(node, frame)

    def blockvisit(self, nodes: Iterable[nodes.Node], frame: Frame) -> None:
        """Write the code of a body; of the body of a template or a block so that it yields one text."""
        body = list(nodes)
        if frame.loop_frame:
            self._visit_pass(body, frame)
            return
        if frame.buffer is not None:
            super().blockvisit(body, frame)
            return
        self.buffer(frame)
        super().blockvisit(body, frame)
        self.writeline(f"yield concat({frame.buffer})")
        frame.buffer = None

    def _visit_pass(self, body: list[nodes.Node], frame: Frame) -> None:
        """Write the code of a pass of a loop, after that of the dictionaries of its variables."""
        assigned = {name for node in body for part in (node, *node.find_all(nodes.Stmt)) for name in stored_by(part)}
        before = self._dictionaries
        for name in sorted(set(frame.symbols.stores) - assigned - {"loop"}):
            variable = frame.symbols.ref(name)
            if frame.symbols.find_load(variable) == (VAR_LOAD_PARAMETER, None):
                found = self.temporary_identifier()
                self.writeline(f"{found} = {variable} if type({variable}) is dict else takk_empty")
                self._dictionaries = {**self._dictionaries, variable: found}
        super().blockvisit(body, frame)
        self._dictionaries = before

    def visit_Include(self, node: nodes.Include, frame: Frame) -> None:
        """Write the code that writes an included template."""
        self.writeline(f"{frame.buffer}.append(context.include(", node)
        self.visit(node.template, frame)
        scope = self.dump_local_context(frame) if node.with_context else None
        self.write(f", {self.name!r}, {scope}, {node.ignore_missing}))")

    def write_commons(self) -> None:
        """Write the names that the code of a template or a block uses."""
        super().write_commons()
        self.writeline("concat = takk_concat")

    def start_write(self, frame: Frame, node: nodes.Node | None = None) -> None:
        """Begin to write a text that is complete: of a block, which is counted already, of a filter block, or of a call block."""
        super().start_write(frame, node)
        # A call block may call a method of a text too, whose result is not HTML.
        self.write("(" if node is None else _writer(frame) if isinstance(node, nodes.CallBlock) else "takk_complete(")

    def end_write(self, frame: Frame) -> None:
        """End what `start_write` began."""
        self.write(")")
        super().end_write(frame)

    def visit_ExprStmt(self, node: nodes.ExprStmt, frame: Frame) -> None:
        """Write the code that counts a pass of a body. `with_limits` adds the statement; a template cannot have one."""
        self.writeline(f"takk_step({cast(nodes.Const, node.node).value})", node)

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:
        """Write the code of plain text and expressions."""
        if frame.require_output_check:
            if self.has_known_extends:
                return
            self.writeline("if parent_template is None:")
            self.indent()
        is_single = len(node.nodes) == 1
        if frame.buffer is not None:
            self.writeline(f"{frame.buffer}.append(" if is_single else f"{frame.buffer}.extend((")
        else:
            self.writeline("yield (" if is_single else 'yield "".join((')
        self.indent()
        for child in node.nodes:
            self.newline(child)
            if isinstance(child, nodes.TemplateData):
                self.write(repr(child.data))
            else:
                self._write_value(child, frame)
            if not is_single:
                self.write(",")
        self.outdent()
        self.writeline(")" if is_single else "))")
        if frame.require_output_check:
            self.outdent()

    def _write_value(self, node: nodes.Expr, frame: Frame) -> None:
        self.write(_writer(frame))
        self.visit(node, frame)
        self.write(")")

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:
        """Write the code of `value.name`: the key of a dictionary, or what the sandbox allows."""
        name = repr(node.attr)
        if isinstance(node.node, nodes.Name) and node.node.ctx == "load":
            variable = frame.symbols.ref(node.node.name)
            if variable in self._dictionaries:
                found = self._dictionaries[variable]
                self.write(f"({found}[{name}] if {name} in {found} else environment.getattr({variable}, {name}))")
                return
        value = self.temporary_identifier()
        self.write(f"({value}[{name}] if type({value} := ")
        self.visit(node.node, frame)
        self.write(f") is dict and {name} in {value} else environment.getattr({value}, {name}))")

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:
        """Write the code of a call: a direct one of the function `t` with a key."""
        is_text = isinstance(node.node, nodes.Name) and node.node.name == "t" and len(node.args) == 1
        if not is_text or node.kwargs or node.dyn_args or node.dyn_kwargs or forward_caller:
            super().visit_Call(node, frame, forward_caller=forward_caller)
            return
        self.write("takk_call(context, ")
        self.visit(node.node, frame)
        self.write(", ")
        self.visit(node.args[0], frame)
        self.write(")")


def _writer(frame: Frame) -> str:
    """Return the beginning of the call that writes a value."""
    if frame.eval_ctx.volatile:
        return "(takk_html if context.eval_ctx.autoescape else takk_text)("
    return "takk_html(" if frame.eval_ctx.autoescape else "takk_text("
