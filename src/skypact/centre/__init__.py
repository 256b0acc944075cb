"""One centre: joins the stages, keeps time, serves its users."""
